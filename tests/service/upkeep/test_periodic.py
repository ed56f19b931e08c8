"""A background task that repeats."""

import asyncio

from structlog.testing import capture_logs

from latentry.errors import LedgerUnavailable
from service.upkeep.periodic import every


async def test_neither_an_outage_nor_a_fault_of_ours_ends_it() -> None:
    faults, is_through = [LedgerUnavailable(), ValueError("ours")], asyncio.Event()

    async def work() -> None:
        if faults:
            raise faults.pop(0)
        is_through.set()

    with capture_logs() as logs:
        task = asyncio.create_task(every(0, work, name="sweep"))
        await asyncio.wait_for(is_through.wait(), 10)
        task.cancel()
    assert [line["event"] for line in logs] == ["sweep.failed", "sweep.crashed"]
