"""Commands of one event loop share round trips, and none notices its neighbours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
from pydantic import SecretStr
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from latentry.errors import LedgerUnavailable
from latentry.ledger import AsyncLedger, Command, JobRef, Ledger, commands
from latentry.ledger.pipelines import MAX_COMMANDS, MAX_PIPELINES, Pipelines
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job
from tests.latentry.ledger.proxy import Proxy, proxy
from tests.valkey import Valkey

MANY = 2 * MAX_PIPELINES * MAX_COMMANDS


@pytest.fixture
def refs(ledger: Ledger) -> list[JobRef]:
    jobs = [new_job() for _ in range(5)]
    return [ledger.run(commands.create(job, max_queued=9)).ref for job in jobs]


@pytest.fixture
async def between(valkey: Valkey) -> AsyncIterator[Proxy]:
    async with proxy(valkey.port) as opened:
        yield opened


@pytest.fixture
async def behind(between: Proxy, settings: Settings) -> AsyncIterator[AsyncLedger]:
    """A ledger behind the proxy whose callers wait for a second."""
    url = SecretStr(f"redis://127.0.0.1:{between.port}/0")

    class Impatient(AsyncLedger):
        patience_s = 1.0

    ledger = Impatient.open(settings.model_copy(update={"redis_url": url}))
    yield ledger
    await ledger.close()


async def test_each_of_many_at_once_gets_its_own_answer(
    async_ledger: AsyncLedger, ledger: Ledger, refs: list[JobRef]
) -> None:
    others = {one["id"] for one in ledger.client.client_list()}
    asked = [refs[number % len(refs)] for number in range(MANY)]
    records = await asyncio.gather(*(async_ledger.run(commands.get(ref)) for ref in asked))
    assert [record.ref for record in records if record] == asked
    connected = {one["id"] for one in ledger.client.client_list()} - others
    assert 1 <= len(connected) <= MAX_PIPELINES


async def test_an_error_is_the_answer_to_its_own_command_only(
    async_ledger: AsyncLedger, refs: list[JobRef]
) -> None:
    wrong: Command[bool] = Command("gateway/create", ("no JSON", ""), bool)
    found = await asyncio.gather(
        *map(async_ledger.run, (commands.get(refs[0]), wrong, commands.get(refs[1]))),
        return_exceptions=True,
    )
    assert isinstance(found[1], ResponseError)
    assert [found[0].ref, found[2].ref] == refs[:2]


async def test_after_a_restart_of_the_server_all_scripts_are_sent_again(
    async_ledger: AsyncLedger, ledger: Ledger, refs: list[JobRef]
) -> None:
    ledger.client.script_flush()
    records = await asyncio.gather(*(async_ledger.run(commands.get(ref)) for ref in refs))
    assert [record.ref for record in records if record] == refs


async def test_what_was_not_answered_is_asked_again_over_a_new_connection(
    behind: AsyncLedger, between: Proxy, refs: list[JobRef]
) -> None:
    await behind.run(commands.get(refs[0]))
    between.delay_s = 5
    asked = [asyncio.create_task(behind.run(commands.get(ref))) for ref in refs]
    between.received.clear()
    await between.received.wait()  # they are on their way
    between.delay_s = 0
    between.reset()
    records = await asyncio.gather(*asked)
    assert [record.ref for record in records if record] == refs


async def test_a_caller_who_goes_takes_no_answer_from_others(
    behind: AsyncLedger, between: Proxy, refs: list[JobRef]
) -> None:
    between.delay_s = 0.1
    asked = [asyncio.create_task(behind.run(commands.get(ref))) for ref in refs]
    await asyncio.sleep(0)
    asked[1].cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found.pop(1), asyncio.CancelledError)
    assert [record.ref for record in found] == [refs[0], *refs[2:]]


async def test_nobody_waits_longer_than_the_patience_and_the_next_is_answered(
    behind: AsyncLedger, between: Proxy, refs: list[JobRef]
) -> None:
    await behind.run(commands.get(refs[0]))
    between.silent = True
    many = [behind.run(commands.get(refs[0])) for _ in range(MANY)]
    async with asyncio.timeout(2 * behind.patience_s):
        found = await asyncio.gather(*many, return_exceptions=True)
    assert {type(one) for one in found} == {LedgerUnavailable}
    between.silent = False
    async with asyncio.timeout(2 * behind.patience_s):
        while not await _answers(lambda: behind.run(commands.get(refs[0]))):
            pass


class Remote:
    """Connections that are answered when the test says so: what is asked meanwhile, all at once."""

    def __init__(self) -> None:
        self.retry = Retry(NoBackoff(), 0)
        self.asked: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def get_connection(self) -> "Remote":
        return self

    async def disconnect(self) -> None:
        """Nothing is connected."""

    async def send_packed_command(self, _: list[bytes]) -> None:
        """It arrives at once."""

    async def read_response(self, *, disable_decoding: bool) -> str:
        answered = asyncio.Event()
        self.asked.put_nowait(answered)
        await answered.wait()
        return "text" if not disable_decoding else ""


async def test_a_call_is_sent_though_all_senders_end_at_that_very_moment() -> None:
    remote = Remote()
    pipelines = Pipelines(cast("Any", remote), within_s=60, patience_s=60)

    async def ask(*words: str) -> None:
        for word in words:
            await pipelines.execute(word)

    async with asyncio.timeout(10):
        askers = [asyncio.create_task(ask("first", "second"))]
        first = await remote.asked.get()
        askers.append(asyncio.create_task(ask("other")))
        other = await remote.asked.get()
        for answered in (first, other):  # both in the same turn of the event loop
            answered.set()
        (await remote.asked.get()).set()
        await asyncio.gather(*askers)


async def test_what_nobody_waits_for_any_more_takes_no_memory() -> None:
    pipelines = Pipelines(cast("Any", Remote()), within_s=60, patience_s=0.01)
    many = [pipelines.execute("word") for _ in range(MANY)]
    found = await asyncio.gather(*many, return_exceptions=True)
    assert {type(one) for one in found} == {RedisTimeout}
    assert pipelines.waiting == 0


async def _answers(ask: Callable[[], Awaitable[object]]) -> bool:
    try:
        return bool(await ask())
    except LedgerUnavailable:
        return False
