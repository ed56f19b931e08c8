"""The engine's steps, as the watchdog hears of them, and what an idle engine measures."""

import threading

import pytest

from latentry.contracts import JobStatus
from latentry.ledger import Ledger
from latentry.storage import Storage
from tests.worker.harness import Worker, ended, submit
from worker.stepping import HUNG_S, LOADING_S, SLOW_STEPS, STOPPING_S


def test_what_calls_cost_is_kept_when_an_idle_engine_has_measured_all(
    ledger: Ledger, storage: Storage
) -> None:
    kept = threading.Semaphore(0)
    worker = Worker(ledger, storage, on_measured=kept.release)
    worker.engine.to_calibrate = 3
    worker.start()
    assert kept.acquire(timeout=10)
    assert worker.engine.to_calibrate < 0
    worker.stop()
    assert not kept.acquire(blocking=False), "once"


def test_what_requests_have_taught_is_kept_when_the_engine_is_idle(
    ledger: Ledger, storage: Storage
) -> None:
    kept = threading.Semaphore(0)
    worker = Worker(ledger, storage, on_measured=kept.release)
    worker.start()
    for _ in range(2):
        assert ended(ledger, submit(ledger)).state is JobStatus.SUCCEEDED
    assert kept.acquire(timeout=10), "the worker may be killed"
    worker.stop()
    assert not kept.acquire(blocking=False), "not after each request"


class Deadlines:
    """A keepalive that remembers."""

    def __init__(self) -> None:
        self.made: list[float] = []

    def extend(self, seconds: float) -> None:
        self.made.append(seconds)


@pytest.mark.parametrize(
    ("is_loading", "test_s", "frames", "allowed_s"),
    [
        (False, 0, 1, HUNG_S),
        (True, 0, 1, LOADING_S),
        (False, HUNG_S, 1, SLOW_STEPS * HUNG_S),
        (False, HUNG_S, 16, SLOW_STEPS * HUNG_S * 16),
    ],
)
def test_a_step_may_take_long_while_a_model_is_loaded_or_where_steps_are_slow_or_draw_clips(
    ledger: Ledger,
    storage: Storage,
    is_loading: bool,
    test_s: float,
    frames: int,
    allowed_s: float,
) -> None:
    keepalive = Deadlines()
    worker = Worker(ledger, storage, keepalive=keepalive, test_s=test_s)
    worker.engine.is_loading, worker.engine.most_frames = is_loading, frames
    worker.start()
    assert ended(ledger, submit(ledger)).state is JobStatus.SUCCEEDED
    worker.stop()
    *serving, leaving = keepalive.made
    assert set(serving) - {0} == {allowed_s}
    assert leaving == STOPPING_S, "a worker that stops by itself is watched, too"


def test_many_short_steps_are_one_announcement(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.stepping.RENEW_S", 60)
    keepalive = Deadlines()
    worker = Worker(ledger, storage, keepalive=keepalive)
    worker.start()
    assert ended(ledger, submit(ledger, num_inference_steps=100)).state is JobStatus.SUCCEEDED
    worker.stop()
    assert 1 <= keepalive.made.count(HUNG_S) <= 2 * (1 + keepalive.made.count(0))
