"""Two services on one Redis, apart by their databases or by their prefixes."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from latentry.ledger import AsyncLedger, Feed, Ledger, commands
from latentry.ledger.signals import Signals, Stop, Wake
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job
from tests.valkey import Valkey


@pytest.fixture(params=["database", "prefix"])
def other(settings: Settings, valkey: Valkey, request: pytest.FixtureRequest) -> Settings:
    """Settings of another service on the same server."""
    if request.param == "prefix":
        return settings.model_copy(update={"redis_prefix": f"{settings.redis_prefix}-two"})
    url = SecretStr(f"redis://127.0.0.1:{valkey.port}/1")
    return settings.model_copy(update={"redis_url": url})


@pytest.fixture
def neighbour(other: Settings) -> Iterator[Ledger]:
    opened = Ledger.open(other)
    yield opened
    opened.close()


@pytest.fixture
async def neighbours_feed(other: Settings) -> AsyncIterator[Feed]:
    opened = AsyncLedger.open(other)
    yield Feed(opened)
    await opened.close()


async def test_a_gateway_hears_the_jobs_of_its_own_service_only(
    ledger: Ledger, neighbour: Ledger, neighbours_feed: Feed
) -> None:
    updates = neighbours_feed.listen()
    assert await anext(updates) is None
    ours, theirs = new_job(), new_job()
    ledger.run(commands.create(ours, max_queued=9))
    neighbour.run(commands.create(theirs, max_queued=9))
    async with asyncio.timeout(10):
        heard = await anext(updates)
    assert heard is not None
    assert heard.ref == theirs.ref, "the first news that it heard is its own"
    await updates.aclose()


def test_a_worker_is_woken_and_stopped_by_its_own_service_only(
    ledger: Ledger, neighbour: Ledger
) -> None:
    signals = Signals(neighbour)
    heard = [signals.wait(1), signals.wait(1)]  # the two channels are subscribed
    for one, model in ((ledger, "ours"), (neighbour, "theirs")):
        job = new_job(model=model)
        one.run(commands.create(job, max_queued=9))
        one.run(commands.claim("w1", [model], room=1, lease_s=5))
        one.run(commands.cancel(job.ref))
    heard += [signals.wait(10), signals.wait(10)]
    assert heard == [Wake(""), Wake(""), Wake("theirs"), Stop(job.ref)]
    signals.close()
