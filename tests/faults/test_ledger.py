"""A Valkey that dies, goes silent, is slow, is full, or comes back knowing less."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from latentry.client import Client
from latentry.contracts import JobStatus
from latentry.ledger import Ledger, commands
from tests.e2e.conftest import settings_for
from tests.e2e.processes import until
from tests.faults.conftest import also
from tests.faults.figures import Figure
from tests.faults.history import History, claims_of
from tests.faults.house import FAST, SLOW, House, house, took
from tests.latentry.ledger.factory import new_job
from tests.latentry.ledger.proxy import Proxy, proxy
from tests.valkey import Valkey

BODY = {"prompt": "a plain colour", "width": 64, "height": 64}


@contextmanager
def behind_a_proxy(folder: Path, **more: str) -> Iterator[tuple[House, Proxy]]:
    """A house that reaches its Valkey through a proxy; the tests reach it directly."""
    valkey = Valkey(folder)
    valkey.start()
    loop, made, leave = asyncio.new_event_loop(), [], asyncio.Event()
    is_up = threading.Event()

    async def serve() -> None:
        async with proxy(valkey.port) as one:
            made.append(one)
            is_up.set()
            await leave.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert is_up.wait(5)
    try:
        settings = settings_for(valkey, folder, "faults", models=FAST, **more)
        url = SecretStr(f"redis://127.0.0.1:{made[0].port}/0")
        with House(settings.model_copy(update={"redis_url": url}), valkey) as one:
            one.ledger = Ledger.open(settings)
            yield one, made[0]
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join()
        valkey.stop()
        loop.close()


def test_no_acknowledged_job_is_lost_when_valkey_is_killed_over_and_over(tmp_path: Path) -> None:
    """T4"""
    with house(tmp_path, models=FAST, durable=True, lease_s="3", heartbeat_s="1") as fast:
        fast.worker(), fast.worker()
        history, is_over = History(fast), threading.Event()

        def load() -> None:
            while not is_over.is_set():
                history.submit(20)

        with ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                pool.submit(load)
            for number in range(3):
                seen = len(history.accepted)
                until(lambda seen=seen: len(history.accepted) > seen + 20, 40, "load")  # type: ignore[misc]
                fast.valkey.kill()
                refused = httpx.post(f"{fast.url}/v1/generations", json=BODY, timeout=10)
                assert refused.status_code == 503, number
                assert int(refused.headers["Retry-After"]) > 0
                fast.valkey.start()
            is_over.set()
        ends = [history.end_of(id) for id in sorted(history.accepted)]
        assert {job.status for job in ends} == {JobStatus.SUCCEEDED}
        assert {entry.deaths for entry in history.check().values()} == {0}


def test_a_silent_ledger_is_noticed_and_work_goes_on_when_it_speaks_again(
    tmp_path: Path, figure: Figure
) -> None:
    """T5"""
    with behind_a_proxy(tmp_path) as (fast, line):
        fast.worker()
        history = History(fast)
        job = history.submit(150)
        assert job
        line.silent = True
        began = time.monotonic()
        refused = httpx.post(f"{fast.url}/v1/generations", json=BODY, timeout=20)
        assert refused.status_code == 503
        figure("silent ledger: refused after", took(began), "s", at_most=4)
        threading.Event().wait(1)
        line.silent = False  # for connections to come; those that were are dead
        spoke = time.monotonic()
        assert history.end_of(job.id).status is JobStatus.SUCCEEDED
        figure("silent ledger: work is done after it answers again", took(spoke), "s", at_most=30)


@pytest.mark.faults
def test_dropping_every_connection_costs_no_job_an_attempt(tmp_path: Path) -> None:
    """T5"""
    with behind_a_proxy(tmp_path) as (fast, line):
        fast.worker()
        history = History(fast)
        jobs = []
        for _ in range(10):
            jobs += [job for _ in range(5) if (job := history.submit(10))]
            line.reset()
        assert {history.end_of(job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
        assert {entry.deaths for entry in history.check().values()} == {0}


@pytest.mark.faults
def test_a_slow_ledger_makes_answers_slow_and_nothing_else(tmp_path: Path) -> None:
    """T6"""
    with behind_a_proxy(tmp_path) as (fast, line):
        fast.worker()
        history = History(fast)
        line.delay_s = 0.1
        began = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            jobs = list(pool.map(lambda _: history.submit(10), range(20)))
        assert took(began) < 10
        line.delay_s = 0.0
        assert {history.end_of(job.id).status for job in jobs if job} == {JobStatus.SUCCEEDED}
        history.check()


def test_a_pause_of_the_ledger_ends_no_lease(tmp_path: Path) -> None:
    """T6"""
    with house(tmp_path, models=SLOW, lease_s="3", heartbeat_s="1") as slow:
        slow.worker()
        history = History(slow)
        jobs = [job for _ in range(4) if (job := history.submit(100))]
        until(lambda: slow.steps_made > 10, 20, "some steps")
        slow.ledger.client.client_pause(4_000, all=True)  # longer than a lease
        refused = httpx.post(f"{slow.url}/v1/generations", json=BODY, timeout=20)
        assert refused.status_code == 503
        assert {history.end_of(job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
        assert {claims_of(entry) for entry in history.check().values()} == {1}


def test_a_full_ledger_takes_no_jobs_and_ends_those_it_has(tmp_path: Path) -> None:
    """T7"""
    with house(tmp_path, models=SLOW) as slow:
        slow.worker()
        history = History(slow)
        jobs = [job for _ in range(4) if (job := history.submit(40))]
        used = slow.ledger.client.info("memory")["used_memory"]
        slow.ledger.client.config_set("maxmemory", used // 2)  # full, whoever hangs up meanwhile
        refused = httpx.post(f"{slow.url}/v1/generations", json=BODY, timeout=20)
        assert refused.status_code == 503
        assert "Retry-After" in refused.headers
        assert {history.end_of(job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
        slow.ledger.client.config_set("maxmemory", 0)
        assert history.end_of(slow.submit(2).id).status is JobStatus.SUCCEEDED


@pytest.mark.faults
@pytest.mark.parametrize("how", ["everysec", "always"])
def test_how_many_jobs_a_second_the_ledger_takes(tmp_path: Path, how: str, figure: Figure) -> None:
    """What the durable kind costs: one client after the other, and eight at once."""
    valkey = Valkey(tmp_path, durable=True)
    valkey.start()
    ledger = Ledger.open(settings_for(valkey, tmp_path, "faults", models=FAST))
    ledger.client.config_set("appendfsync", how)

    def enter(_: int) -> None:
        ledger.run(commands.create(new_job(), max_queued=1_000_000))

    for clients in (1, 8):
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(enter, range(2_000)))
        figure(
            f"appendfsync {how}: jobs submitted per second, {clients} at once", 2_000 / took(began)
        )
    ledger.close()
    valkey.stop()


@pytest.mark.parametrize("cut", [100, *also(1, 1_000)])
def test_a_ledger_that_lost_its_last_writes_starts_and_the_same_key_submits_again(
    tmp_path: Path, cut: int, figure: Figure
) -> None:
    """T8"""
    with house(tmp_path, models=FAST, durable=True) as fast:
        fast.add("worker")
        until(fast.workers, 60, "the worker being counted")
        keys = [f"key-{number}" for number in range(20)]
        before = [fast.client.submit("x", width=64, height=64, idempotency_key=k) for k in keys]
        fast.valkey.kill()
        [log] = tmp_path.glob("appendonlydir/*.incr.aof")
        os.truncate(log, log.stat().st_size - cut)
        fast.valkey.start()
        again = [fast.client.submit("x", width=64, height=64, idempotency_key=k) for k in keys]
        lost = len({job.id for job in before} - {job.id for job in again})
        figure(f"jobs lost with the last {cut} bytes of the append-only file", lost, at_most=5)
        assert {fast.end_of(job).status for job in again} == {JobStatus.SUCCEEDED}


@pytest.mark.faults
def test_a_replica_that_takes_over_goes_on_with_what_it_had(tmp_path: Path) -> None:
    """T9"""
    (tmp_path / "replica").mkdir()
    replica = Valkey(tmp_path / "replica")
    replica.start()
    with house(tmp_path, models=FAST) as fast:
        heir = Ledger.open(fast.settings.model_copy(update={"redis_url": SecretStr(replica.url)}))
        heir.client.replicaof("127.0.0.1", str(fast.valkey.port))
        until(lambda: heir.client.info("replication")["master_link_status"] == "up", 10, "the link")
        history = History(fast)
        fast.worker().stop()
        jobs = [job for _ in range(20) if (job := history.submit())]
        fast.ledger.client.execute_command("WAIT", 1, 5_000)
        fast.valkey.kill()
        heir.client.replicaof("NO", "ONE")
        settings = settings_for(replica, tmp_path, "faults", models=FAST)
        with House(settings, replica) as risen:
            risen.worker()
            with Client(risen.url) as client:
                ends = [client.wait(job.id, timeout_s=60) for job in jobs]
            assert {job.status for job in ends} == {JobStatus.SUCCEEDED}
        heir.close()
    replica.stop()
