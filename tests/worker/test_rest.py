"""No worker rests while a job waits that it could draw, and a row and memory are free."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentry.contracts import JobStatus
from latentry.ledger import Ledger, commands
from tests.worker.virtual import Hazards, VirtualWorker
from worker.claims.claimer import POLL_S

PICTURE = 128 * 128 * 3  # bytes
seeds = st.integers(0, 2**32)
hazards = st.builds(
    Hazards,
    gap_s=st.sampled_from([0.0, 0.05, 0.5]),
    lag_s=st.sampled_from([0.0, 0.05]),
    ledger_s=st.sampled_from([0.0, 0.01, 0.2]),
    upload_s=st.sampled_from([0.0, 0.1, 3.0]),
    refused=st.sampled_from([0.0, 0.2]),
    canceled=st.sampled_from([0.0, 0.3]),
    backlog_bytes=st.sampled_from([1, 3 * PICTURE, 10**9]),
    max_rows=st.sampled_from([2, 8, 32]),
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.publishing.publisher.RETRY_S", 0)


@given(seed=seeds, hazards=hazards, jobs=st.integers(1, 24), suspects=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_worker_rests_while_a_job_waits_that_it_has_room_for(
    ledger: Ledger, seed: int, hazards: Hazards, jobs: int, suspects: int
) -> None:
    worker = VirtualWorker(ledger, seed, hazards)
    refs = worker.draw(jobs, suspects=suspects)
    assert worker.rested_s == 0
    ends = {worker.plain.run(commands.get(ref)).state for ref in refs}  # type: ignore[union-attr]
    assert ends <= {JobStatus.SUCCEEDED, JobStatus.CANCELED}


@given(seed=seeds, jobs=st.integers(1, 12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_signal_that_the_ledger_lost_costs_a_poll_at_most(
    ledger: Ledger, seed: int, jobs: int
) -> None:
    worker = VirtualWorker(ledger, seed, Hazards(lost=1.0))
    worker.draw(jobs)
    assert worker.missed_s <= jobs * POLL_S


def test_a_worker_that_nothing_wakes_when_memory_comes_free_is_found(ledger: Ledger) -> None:
    hazards = Hazards(gap_s=0, upload_s=3.0, backlog_bytes=3 * PICTURE)
    rested_s = 0.0
    for seed in range(8):
        worker = VirtualWorker(ledger, seed, hazards)
        worker.publisher._backlog.remove = lambda taken, of=worker: _in_silence(of, taken)  # type: ignore[method-assign]
        worker.draw(12)
        rested_s += worker.rested_s
    assert rested_s > 0


def _in_silence(worker: VirtualWorker, taken: int) -> bool:
    worker.publisher._backlog.bytes -= taken
    return False
