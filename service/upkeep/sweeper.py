"""Ends what is overdue, once a second, in every gateway; concurrent sweeps do no harm.

A sweep waits for the ledger and for nothing else: the ledger takes a pause between two sweeps for
an outage, in which no worker could renew its leases.
"""

from typing import Final

import structlog

from latentry.ledger import commands
from service.gateway import Gateway
from service.upkeep.periodic import every
from service.upkeep.retention import Retention

log = structlog.get_logger()

EVERY_S: Final = 1.0


class Sweeper:
    """Ends overdue leases and jobs, rings for queues without a bell, updates the queue metrics."""

    def __init__(self, gateway: Gateway, retention: Retention) -> None:
        self._gateway = gateway
        self._retention = retention

    async def run(self) -> None:
        """Sweep until canceled, through every outage."""
        await every(EVERY_S, self.sweep, name="sweep")

    async def sweep(self) -> None:
        """One sweep. Raises LedgerUnavailable."""
        gateway = self._gateway
        swept = await gateway.ledger.run(commands.sweep(lease_s=gateway.settings.lease_s))
        self._retention.note(swept.forgettable)
        for ref in swept.unreadable:
            log.error("record.unreadable", job=ref.id)
        for entry in await gateway.catalogue.read():
            gateway.metrics.queue_state(
                entry.card.queue,
                waiting=entry.waiting,
                oldest_ms=entry.oldest_ms,
                workers=entry.workers,
            )
            if entry.workers and entry.card.queue in swept.silent_queues:
                gateway.bell.ring_soon(entry.card.queue)
