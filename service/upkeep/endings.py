"""Counts and logs every ended job: once in the fleet, whichever gateway takes it."""

import secrets
from typing import Final

import structlog

from latentry.ledger import AsyncLedger, JobEnd, commands
from service.metrics import Metrics
from service.upkeep.periodic import every

log = structlog.get_logger()

EVERY_S: Final = 1.0


class Endings:
    """Takes ended jobs from the ledger, which gives each to one gateway, and notes them."""

    def __init__(self, ledger: AsyncLedger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._taker = secrets.token_hex(8)
        self._command = commands.take_ends(self._taker)

    async def run(self) -> None:
        """Note ends until canceled, through every outage."""
        await every(EVERY_S, self.take, name="ends")

    async def take(self) -> None:
        """Note all ends that no gateway has taken yet. Raises LedgerUnavailable."""
        is_full = True
        while is_full:
            ends = await self._ledger.run(self._command)
            # Only after a reply: until then the same command is repeated, so no end is lost.
            self._command = commands.take_ends(self._taker)
            for end in ends:
                self._note(end)
            is_full = len(ends) == commands.ENDS_BATCH

    def _note(self, end: JobEnd) -> None:
        self._metrics.job_ended(end)
        log.info(
            "job.ended",
            job=end.ref.id,
            model=end.model,
            status=end.status.value,
            code=end.code or None,
            queue_ms=end.queue_ms,
            run_ms=end.run_ms,
        )
