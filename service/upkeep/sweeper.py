"""Ends what is overdue, once a second, in every gateway; several sweepers do no harm.

A sweeper waits for the ledger and for nothing else: to the ledger, a pause between two sweeps is an
outage, in which no worker could renew its leases.
"""

import asyncio
from typing import Final

import structlog

from latentry.errors import LatentryError
from latentry.ledger import AsyncLedger, commands
from service.jobs.bell import Bell
from service.jobs.catalogue import Catalogue
from service.metrics import Metrics
from service.upkeep.retention import Retention

log = structlog.get_logger()

EVERY_S: Final = 1.0


class Sweeper:
    """Leases and deadlines; the bells of silent queues; the figures of all queues."""

    def __init__(
        self,
        ledger: AsyncLedger,
        lease_s: float,
        bell: Bell,
        catalogue: Catalogue,
        retention: Retention,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._lease_s = lease_s
        self._bell = bell
        self._catalogue = catalogue
        self._retention = retention
        self._metrics = metrics

    async def run(self) -> None:
        """Sweep until cancelled, through every outage."""
        while True:
            try:
                await self.sweep()
            except LatentryError as error:
                log.warning("sweep.failed", code=error.code)
            except Exception:
                log.exception("sweep.broke")
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """One round."""
        swept = await self._ledger.run(commands.sweep(lease_s=self._lease_s))
        self._retention.note(swept.forgettable)
        for ref in swept.unreadable:
            log.error("record.unreadable", job=ref.id)
        entries = await self._catalogue.read()
        for entry in entries:
            self._metrics.stand(
                entry.card.id,
                waiting=entry.waiting,
                oldest_ms=entry.oldest_ms,
                workers=entry.workers,
            )
            if entry.workers and entry.card.id in swept.silent_queues:
                self._bell.ring_soon(entry.card.id)
