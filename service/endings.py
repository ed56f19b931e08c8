"""Notes how every job ended: one log line and the figures."""

import asyncio
from typing import Final

import structlog

from latentry.errors import LedgerUnavailable
from latentry.jobs import AsyncLedger, JobRef, commands
from service.metrics import Metrics

log = structlog.get_logger()

# Past this many unnoted ends we are in trouble already; notes are not worth any memory then.
ROOM: Final = 1_000


class Endings:
    """Reads the records of jobs that ended, apart from whoever waits for them."""

    def __init__(self, ledger: AsyncLedger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._unnoted: asyncio.Queue[JobRef] = asyncio.Queue(ROOM)

    def note(self, ref: JobRef) -> None:
        """A job ended."""
        if not self._unnoted.full():
            self._unnoted.put_nowait(ref)

    async def run(self) -> None:
        """Write notes until cancelled."""
        while True:
            ref = await self._unnoted.get()
            try:
                await self._write(ref)
            except LedgerUnavailable:
                log.warning("job.ended", job=ref.id)
            except Exception:
                # A record this version cannot read costs its own note, not all that follow.
                log.exception("endings.broke", job=ref.id)

    async def _write(self, ref: JobRef) -> None:
        record = await self._ledger.run(commands.get(ref))
        if record is None:  # deleted meanwhile
            return
        self._metrics.ended(record)
        log.info(
            "job.ended",
            job=ref.id,
            model=record.request.model,
            status=record.state.value,
            code=record.error.code if record.error else None,
            queue_ms=record.queue_ms,
            run_ms=record.run_ms,
        )
