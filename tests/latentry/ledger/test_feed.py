"""What the feed yields, and that it never misses a break in its own connection."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from latentry.contracts import EventType, Progress
from latentry.errors import LedgerUnavailable
from latentry.ledger import AsyncLedger, Feed, Ledger, LedgerEvent, StepUpdate, commands, feed
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job
from tests.latentry.ledger.proxy import proxy
from tests.valkey import Valkey

Updates = AsyncIterator[LedgerEvent | StepUpdate | None]


async def following(updates: Updates) -> LedgerEvent | StepUpdate | None:
    async with asyncio.timeout(10):
        return await anext(updates)


async def test_the_feed_has_the_events_of_the_stream_and_steps_as_well(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    updates = Feed(async_ledger).listen()
    assert await following(updates) is None
    job = new_job()
    ledger.run(commands.create(job, max_queued=9))
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=5))
    ledger.run(commands.report_progress([(lease, 1, 4)]))
    heard = [await following(updates) for _ in range(3)]
    assert heard[:2] == ledger.run(commands.list_events(job.ref))
    assert heard[2] == StepUpdate(job.ref, Progress(step=1, steps=4))
    await updates.aclose()


async def test_the_feed_says_that_a_job_begins_which_is_claimed_for_a_free_row(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    job = new_job()
    ledger.run(commands.create(job, max_queued=9))
    updates = Feed(async_ledger).listen()
    assert await following(updates) is None
    ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=5, begins=True))
    running, step = [await following(updates) for _ in range(2)]
    assert isinstance(running, LedgerEvent)
    assert step == StepUpdate(job.ref, Progress(step=0, steps=4))
    await updates.aclose()


async def test_after_a_break_the_feed_says_that_it_begins_anew(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    updates = Feed(async_ledger).listen()
    assert await following(updates) is None
    ledger.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    assert await following(updates) is None
    ledger.run(commands.create(new_job(), max_queued=9))
    event = await following(updates)
    assert isinstance(event, LedgerEvent)
    assert event.type is EventType.QUEUED
    await updates.aclose()


async def test_a_quiet_connection_is_kept_and_a_dead_one_is_given_up(
    valkey: Valkey, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "QUIET_S", 0.5)
    async with proxy(valkey.port) as between:
        url = SecretStr(f"redis://127.0.0.1:{between.port}/0")
        ledger = AsyncLedger.open(settings.model_copy(update={"redis_url": url}))
        updates = Feed(ledger).listen()
        assert await following(updates) is None
        waiting = asyncio.create_task(following(updates))
        assert await asyncio.wait([waiting], timeout=1.5) == (set(), {waiting})
        between.silent = True
        with pytest.raises(LedgerUnavailable):
            await waiting
        await ledger.close()
