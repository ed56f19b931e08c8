"""What clients do: repeat requests, cancel, and disconnect."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from latentry.contracts import EventType, JobStatus
from tests.e2e.processes import until
from tests.faults.history import History
from tests.faults.house import FAST, SLOW, House, house

BODY = {"prompt": "a plain colour", "width": 64, "height": 64, "guidance_scale": 1.0}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one worker, whose steps one can see."""
    with house(tmp_path_factory.mktemp("slow"), models=SLOW) as made:
        made.worker()
        yield made


def test_fifty_equal_posts_at_once_are_one_job(slow: House) -> None:
    """T12"""
    with httpx.Client(base_url=slow.url) as http, ThreadPoolExecutor(50) as pool:
        headers = {"Idempotency-Key": "fifty"}

        def post(body: dict[str, object]) -> httpx.Response:
            return http.post("/v1/generations", json=body, headers=headers)

        answers = list(pool.map(post, [BODY] * 50))
        assert {answer.status_code for answer in answers} <= {200, 202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        other = post(BODY | {"prompt": "another"})
        assert other.status_code == 422
        assert other.json()["code"] == "idempotency_conflict"


def test_a_job_that_is_canceled_before_it_runs_never_runs(slow: House) -> None:
    """T23"""
    before = slow.submit(2, model=None)
    slow.end_of(before)
    jobs = [slow.submit(50) for _ in range(40)]  # more than one worker begins at once
    last = slow.client.cancel(jobs[-1].id)
    assert last.status is JobStatus.CANCELED
    for job in jobs:
        slow.client.cancel(job.id)
    assert {slow.end_of(job).status for job in jobs} == {JobStatus.CANCELED}
    assert slow.claims(last) == 0


def test_a_running_job_stops_within_a_step_and_a_finished_one_stays_finished(slow: House) -> None:
    """T23"""
    job = slow.submit(100)
    assert any(event.type is EventType.STEP for event in slow.client.events(job.id))
    slow.client.cancel(job.id)
    end = slow.end_of(job)
    assert end.status is JobStatus.CANCELED
    done = slow.end_of(slow.submit(2))
    assert slow.client.cancel(done.id).status is JobStatus.SUCCEEDED
    assert slow.end_of(done).status is JobStatus.SUCCEEDED


def test_races_between_cancel_and_the_last_step_have_one_winner(tmp_path: Path) -> None:
    """T23"""
    with house(tmp_path, models=FAST) as fast:
        fast.worker()
        history, chance = History(fast), random.Random(1)

        def race(number: int) -> JobStatus:
            job = history.submit(chance.randint(1, 12))
            assert job
            threading.Event().wait(chance.random() * 0.3)  # the race is against the clock
            history.seen[job.id].append(fast.client.cancel(job.id).status)
            return history.end_of(job.id).status

        with ThreadPoolExecutor(8) as pool:
            ends = list(pool.map(race, range(80)))
        assert set(ends) <= {JobStatus.SUCCEEDED, JobStatus.CANCELED}
        assert len(set(ends)) == 2, "both win sometimes"
        history.check()


@pytest.mark.faults
def test_a_deadline_that_passes_in_line_costs_no_step(tmp_path: Path) -> None:
    """T24"""
    with house(tmp_path, models=FAST, queue_ttl_s="2") as fast:
        worker = fast.worker()
        fast.end_of(fast.submit())
        worker.stop()
        made, history = fast.steps_made, History(fast)
        history.accepted = {job.id for job in fast.client.list().data}
        jobs = [job for _ in range(50) if (job := history.submit())]
        ends = [history.end_of(job.id) for job in jobs]
        assert {job.status for job in ends} == {JobStatus.EXPIRED}
        fast.worker()
        assert fast.end_of(fast.submit()).status is JobStatus.SUCCEEDED
        assert fast.steps_made == made + 10


def test_a_client_that_hangs_up_leaves_its_job_alone(slow: House) -> None:
    """T25"""
    with httpx.Client(base_url=slow.url) as http, pytest.raises(httpx.ReadTimeout):
        http.post(
            "/v1/generations",
            json=BODY | {"num_inference_steps": 20},
            headers={"Prefer": "wait=30", "Idempotency-Key": "hung-up"},
            timeout=0.3,
        )
    [job] = slow.client.list(limit=1).data
    assert slow.end_of(job).status is JobStatus.SUCCEEDED


def test_idle_connections_and_slow_requests_delay_no_others(slow: House) -> None:
    """T31"""
    import socket

    held = []
    for number in range(300):
        one = socket.create_connection(("127.0.0.1", slow.settings.port))
        one.sendall(b"" if number % 2 else b"POST /v1/generations HTTP/1.1\r\nHost: x\r\n")
        held.append(one)
    with httpx.Client(base_url=slow.url) as http:
        times = [http.get("/v1/models").elapsed.total_seconds() for _ in range(50)]
    assert sorted(times)[48] < 1
    for one in held:
        one.close()
    until(slow.is_ready, 10, "the gateway being ready")
