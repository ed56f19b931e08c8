"""Starts that fail, restarts of everything under load, versions side by side, and leaks."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from latentry.contracts import JobStatus
from tests.e2e.processes import until
from tests.faults.figures import Figure
from tests.faults.history import History
from tests.faults.house import FAST, house
from tests.faults.storm import ends_of, load
from tests.latentry.ledger.proxy import Proxy, proxy
from tests.valkey import free_port


@pytest.mark.faults
def test_a_corrupt_model_ends_its_worker_with_one_message(tmp_path: Path) -> None:
    """T29"""
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"\xff" * 4096)
    with house(tmp_path, models=f"spoilt={model}") as one:
        worker = one.add("worker")
        until(lambda: not worker.is_alive, 60, "the worker giving up")
        assert worker.stop() == 2
        assert one.says("model.unusable") == 1
        assert "Traceback" not in worker.log.read_text()
        assert one.workers() == 0
        assert one.is_ready(), "the gateway still takes jobs for others"


def test_jobs_and_records_of_another_version_are_read_with_their_unknown_fields(
    tmp_path: Path,
) -> None:
    """T30"""
    with house(tmp_path, models=FAST) as one:
        worker = one.worker()
        one.end_of(one.submit())
        worker.stop()
        job = one.submit(5)
        key = f"{one.ledger.root}:job:default:{job.id}"
        request = json.loads(one.ledger.client.hget(key, "request") or "")
        request |= {"a_field_of_tomorrow": [1, 2, 3]}
        tomorrow = {"request": json.dumps(request), "mood": "sunny", "v": "2"}
        one.ledger.client.hset(key, mapping=tomorrow)
        one.worker()
        assert one.end_of(job).status is JobStatus.SUCCEEDED
        assert one.ledger.client.hget(key, "mood") == "sunny"


def is_served(port: int) -> bool:
    """Whether a gateway there is ready."""
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    return False


@contextmanager
def front(*targets: int) -> Iterator[Proxy]:
    """A load balancer: it asks the first gateway that answers."""
    loop, made = asyncio.new_event_loop(), []
    is_up, leave = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with proxy(*targets) as one:
            made.append(one)
            is_up.set()
            await leave.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert is_up.wait(5)
    yield made[0]
    loop.call_soon_threadsafe(leave.set)
    thread.join()
    loop.close()


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_rolling_restart_of_everything_fails_no_job_and_no_request(
    tmp_path: Path, storm_jobs: int, figure: Figure
) -> None:
    """T30"""
    ports = [free_port(), free_port()]
    with (
        front(*ports) as line,
        house(
            tmp_path, models=FAST, port=str(ports[0]), public_url=f"http://127.0.0.1:{line.port}"
        ) as one,
    ):
        workers = [one.worker(), one.worker()]
        gateways = [one.gateway, one.add("service", LATENTRY_PORT=str(ports[1]))]
        until(lambda: is_served(ports[1]), 60, "the second gateway")
        history, restarted, is_over = History(one), 0, threading.Event()

        def roll() -> None:
            nonlocal restarted
            while not is_over.is_set():
                for number, worker in enumerate(workers):
                    assert worker.stop() == 0
                    workers[number] = one.worker()
                    restarted += 1
                for number, port in enumerate(ports):
                    gateways[number].stop()
                    gateways[number] = one.add("service", LATENTRY_PORT=str(port))
                    until(lambda port=port: is_served(port), 60, "the gateway")  # type: ignore[misc]
                    restarted += 1

        rolling = threading.Thread(target=roll)
        rolling.start()
        load(history, max(100, storm_jobs // 4), a_second=15)
        is_over.set()
        rolling.join()
        ends = ends_of(history)
        failed = [job for job in ends if job.status is not JobStatus.SUCCEEDED]
        history.check()
        lost = len(history.refused) + history.unknown
        figure("rolling restart: processes restarted under load", restarted, at_least=4)
        figure("rolling restart: jobs", len(ends))
        figure("rolling restart: failed requests after the client's retry", lost, at_most=0)
        figure("rolling restart: failed jobs", len(failed), at_most=0)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_thousands_of_jobs_leave_no_memory_behind(
    tmp_path: Path, storm_jobs: int, figure: Figure
) -> None:
    """T32"""
    with house(tmp_path, models="shapes=simulated:call_ms=1:row_ms=1:picture_ms=1") as one:
        worker = one.worker()
        history, sizes = History(one), []
        for _ in range(4):
            load(history, storm_jobs // 4, a_second=60)
            ends_of(history)
            sizes.append([max(map(resident_mb, pids)) for pids in (one.gateway.pids, worker.pids)])
        for name, first, last in zip(("gateway", "worker"), sizes[1], sizes[-1], strict=True):
            slope = (last - first) / (storm_jobs / 2 / 1_000)
            figure(f"{name}: memory per 1,000 jobs after warm-up", slope, "MB", at_most=5)
        history.check()


def resident_mb(pid: int) -> float:
    """What a process holds in memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
