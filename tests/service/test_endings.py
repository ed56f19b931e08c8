"""Who writes down how jobs ended."""

import asyncio
from contextlib import suppress

from latentry.jobs import AsyncLedger, JobRecord, Ledger, commands
from service.endings import Endings
from tests.jobs.factory import new_job


class Figures(asyncio.Queue[JobRecord]):
    """What would have been counted."""

    def ended(self, record: JobRecord) -> None:
        self.put_nowait(record)


async def test_a_record_that_cannot_be_read_costs_only_its_own_note(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    odd, plain = (ledger.run(commands.create(new_job(), max_queued=9)).ref for _ in range(2))
    ledger.client.hset(f"{ledger.root}:job:{odd}", "state", "from the future")
    figures = Figures()
    endings = Endings(async_ledger, figures)  # type: ignore[arg-type]
    endings.note(odd)
    endings.note(plain)
    writing = asyncio.create_task(endings.run())
    assert (await asyncio.wait_for(figures.get(), 20)).ref == plain
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
