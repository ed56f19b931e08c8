"""Deliveries outlive the gateway that sends them: real gateways, a real Valkey, and signals."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from latentry.contracts import JobStatus
from latentry.ledger import Ledger, commands, deliveries
from latentry.settings import Settings
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Process, until
from tests.latentry.ledger.due import make_due
from tests.latentry.ledger.factory import card
from tests.service.webhooks.receiver import Receiver, in_turn, silence, status
from tests.valkey import Valkey, free_port


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """One that may be killed: what it has acknowledged is in its file."""
    server = Valkey(tmp_path, durable=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
def settings(own_valkey: Valkey, tmp_path: Path, receiver: Receiver) -> Settings:
    return settings_for(own_valkey, tmp_path, "webhooks", webhook_allow=receiver.host)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = Ledger.open(settings)
    opened.run(commands.register_model(card()))
    opened.run(commands.heartbeat("w", ["shapes"], ttl_s=600))
    yield opened
    opened.close()


class Gateways:
    """Processes over one ledger, each on a port of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: list[tuple[Process, str]] = []

    async def start(self) -> Process:
        port = free_port()
        settings = self._settings.model_copy(update={"port": port})
        log = settings.data_dir / f"gateway-{port}.log"
        process = Process("service", settings, log)
        self._running.append((process, settings.base_url))
        await asyncio.to_thread(until, lambda: is_ready(settings.base_url), 60)
        return process

    @property
    def url(self) -> str:
        return self._running[-1][1]

    def stop(self) -> None:
        for process, _ in self._running:
            process.stop()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def gateways(settings: Settings) -> Iterator[Gateways]:
    started = Gateways(settings)
    yield started
    started.stop()


async def create(gateways: Gateways, receiver: Receiver, count: int = 1) -> list[str]:
    body = {"prompt": "a red circle", "webhook": {"url": receiver.url}}
    async with httpx.AsyncClient(base_url=gateways.url) as client:
        answers = [await client.post("/v1/generations", json=body) for _ in range(count)]
    return [answer.json()["id"] for answer in answers]


def end_all(ledger: Ledger, count: int) -> None:
    left = count
    while left:
        for lease in ledger.run(commands.claim("w", ["shapes"], room=100, lease_s=60)):
            ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
            left -= 1


def nothing_waits(ledger: Ledger) -> bool:
    return ledger.run(deliveries.measure_backlog()) == (0, 0)


async def test_what_a_killed_gateway_was_sending_the_next_one_sends(
    gateways: Gateways, ledger: Ledger, receiver: Receiver
) -> None:
    receiver.answer = in_turn(silence, status(200))
    doomed = await gateways.start()
    await create(gateways, receiver)
    end_all(ledger, 1)
    await receiver.arrived(1)
    doomed.kill()
    await gateways.start()
    make_due(ledger)  # its lease
    await receiver.arrived(2)
    await asyncio.to_thread(until, lambda: nothing_waits(ledger), 20)
    assert len(set(receiver.ids)) == 1


async def test_a_webhook_outlives_a_killed_ledger(
    gateways: Gateways, ledger: Ledger, receiver: Receiver, own_valkey: Valkey
) -> None:
    receiver.answer = in_turn(status(500), status(500), status(200))
    await gateways.start()
    [id] = await create(gateways, receiver)
    end_all(ledger, 1)
    for count in (1, 2):
        await receiver.arrived(count)
        await asyncio.to_thread(until, lambda n=count: attempts(ledger, id) == n, 20)
        own_valkey.kill()
        await asyncio.to_thread(own_valkey.start)
        make_due(ledger)
    await receiver.arrived(3)
    await asyncio.to_thread(until, lambda: nothing_waits(ledger), 20)
    assert len(set(receiver.ids)) == 1


def attempts(ledger: Ledger, id: str) -> int:
    [page] = [ledger.run(commands.list_jobs("default", below=None, limit=1))]
    assert page[0].ref.id == id
    return sum(
        len(delivery.attempts) for delivery in ledger.run(deliveries.list_deliveries(page[0].ref))
    )


async def test_of_two_gateways_one_sends_each_webhook(
    gateways: Gateways, ledger: Ledger, receiver: Receiver
) -> None:
    jobs = 60
    for _ in range(2):
        await gateways.start()
    ids = await create(gateways, receiver, jobs)
    end_all(ledger, jobs)
    await receiver.arrived(jobs, timeout_s=60)
    await asyncio.to_thread(until, lambda: nothing_waits(ledger), 20)
    received_by_job = Counter(received.notice["data"]["id"] for received in receiver.got)
    assert received_by_job == dict.fromkeys(ids, 1)
    assert len(set(receiver.ids)) == jobs


async def test_in_a_storm_every_job_is_delivered_under_one_id(
    gateways: Gateways, ledger: Ledger, receiver: Receiver
) -> None:
    """Gateways are killed, workers vanish, replies are lost, and every third answer is a 500."""
    jobs, kills = 60, 3
    receiver.answer = in_turn(*[status(code) for code in (200, 500, 200) * 200])
    processes = [await gateways.start() for _ in range(2)]
    ids = await create(gateways, receiver, jobs)
    left, rounds = set(ids), 0
    while left or not nothing_waits(ledger):
        if rounds < kills * 5:  # by a worker that is no more
            ledger.run(commands.claim("gone", ["shapes"], room=3, lease_s=0.2))
        for lease in ledger.run(commands.claim("w", ["shapes"], room=5, lease_s=60)):
            for _ in range(2):  # as if the first reply had been lost
                ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
            left.discard(lease.ref.id)
        if rounds % 5 == 0 and rounds < kills * 5:
            processes.pop(0).kill()
            processes.append(await gateways.start())
        make_due(ledger)  # pauses, and leases of gateways that were killed
        await asyncio.sleep(0.1)
        rounds += 1
        assert rounds < 300
    received_by_job: dict[str, set[str]] = {}
    for received in receiver.got:
        received_by_job.setdefault(received.notice["data"]["id"], set()).add(received.id)
    assert received_by_job.keys() == set(ids)
    assert all(len(events) == 1 for events in received_by_job.values())
    assert len(set(receiver.ids)) == jobs < len(receiver.ids)


async def test_a_gateway_that_gets_sigterm_does_not_wait_for_a_silent_receiver(
    gateways: Gateways, ledger: Ledger, receiver: Receiver
) -> None:
    receiver.answer = silence
    leaving = await gateways.start()
    await create(gateways, receiver)
    end_all(ledger, 1)
    await receiver.arrived(1)
    assert await asyncio.to_thread(leaving.stop, 8) == 0
    assert ledger.run(deliveries.measure_backlog())[0] == 1, "another gateway's"
