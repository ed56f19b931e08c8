"""Workers that die, freeze, hang, run out of memory and get SIGTERM."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentry.contracts import EventType, Job, JobStatus
from tests.e2e.processes import until
from tests.faults.conftest import also
from tests.faults.figures import Figure
from tests.faults.history import History, claims_of, digest
from tests.faults.house import FAST, SLOW, House, house, took

POINTS = [
    "after:claim:1",
    "before:add_output:1",
    "after:put:1",
    "before:settle:2",
    "after:settle:1",
]


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[House]:
    """Quick steps, and workers that are missed soon."""
    with house(tmp_path, models=FAST, lease_s="3", heartbeat_s="1") as made:
        yield made


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[House]:
    """Steps that one can see."""
    with house(tmp_path, models=SLOW, lease_s="3", heartbeat_s="1", checkpoint_s="0.2") as made:
        yield made


def stepping(house: House, job: Job) -> None:
    """Wait for its first step."""
    assert any(event.type is EventType.STEP for event in house.client.events(job.id))


def test_a_worker_may_die_at_any_point_of_a_jobs_life(fast: House) -> None:
    """T1"""
    history = History(fast)
    for point in POINTS:
        fast.add("tests.faults.worker", f"die={point}")
    until(lambda: fast.workers() == len(POINTS), 60, "the workers being counted")
    # A job's only picture is listed as the job is settled, several one by one.
    jobs = [history.submit(20, seed=k, n=1 + k % 2) for k in range(4 * len(POINTS))]
    ends = [history.end_of(job.id) for job in jobs if job]

    def each_has_died() -> bool:
        if len(list(fast.logs.glob("died.*"))) == len(POINTS):
            return True
        # A worker that got none of the jobs so far may get one of the next.
        more = [history.submit(20, seed=len(ends), n=n) for n in (1, 2)]
        ends.extend(history.end_of(job.id) for job in more if job)
        return False

    until(each_has_died, 60, "each point's death")
    assert {job.status for job in ends} == {JobStatus.SUCCEEDED}
    history.check()


def test_a_frozen_worker_that_thaws_changes_nothing(slow: House) -> None:
    """T3"""
    history = History(slow)
    worker = slow.worker()
    jobs = [history.submit(100, seed=seed, determinism="strict") for seed in (1, 2)]
    frozen = [job for job in jobs if job]
    stepping(slow, frozen[0])
    with worker.frozen():
        heir = slow.worker()
        until(lambda: all(slow.claims(job) == 2 for job in frozen), 30, "the heir having both")
    # It wakes up in the middle of the heir's work, with steps to tell of and leases to renew.
    ends = [history.end_of(job.id) for job in frozen]
    assert slow.steps_made < 2 * 100 * 1.5, "it learns that its leases are lost, and drops the jobs"
    again = slow.end_of(slow.submit(100, seed=1, determinism="strict"))
    assert digest(slow, again) == digest(slow, ends[0])
    history.accepted.add(again.id)
    assert {entry.state for entry in history.check().values()} == {JobStatus.SUCCEEDED}
    assert heir.stop() == 0


@pytest.mark.parametrize("offset_s", [7200, *also(-7200)])
def test_a_worker_whose_clock_jumps_by_hours_works_like_any_other(
    fast: House, offset_s: int
) -> None:
    """T15"""
    history = History(fast)
    fast.worker(f"clock={offset_s}")
    jobs = [history.submit(steps) for steps in (150, 150, *[20] * 20)]
    ends = [history.end_of(job.id) for job in jobs if job]
    assert {job.status for job in ends} == {JobStatus.SUCCEEDED}
    for job in ends:
        assert job.finished_at
        assert abs(job.finished_at.timestamp() - time.time()) < 60, "one clock tells all times"
    assert {claims_of(entry) for entry in history.check().values()} == {1}, "claimed once"


def test_out_of_memory_splits_the_batch_and_fails_only_what_does_not_fit_alone(fast: House) -> None:
    """T16"""
    fast.worker()
    # Its calls fit up to two rows: with others it must be split off.
    guest = fast.marked("oom@2", steps=30)
    mates = [fast.submit(30, seed=seed) for seed in range(8)]
    greedy = fast.marked("oom@0", steps=30)
    assert fast.end_of(guest).status is JobStatus.SUCCEEDED
    assert {fast.end_of(mate).status for mate in mates} == {JobStatus.SUCCEEDED}
    end = fast.end_of(greedy)
    assert end.error
    assert end.error.code == "out_of_memory"
    assert end.status is JobStatus.FAILED


def test_a_job_that_kills_its_process_is_poison_and_costs_others_an_attempt_at_most(
    fast: House,
) -> None:
    """T17"""
    history = History(fast)
    fast.worker()
    killer = history.submit(10, metadata={"hazard": "exit@5"})
    mates = [job for _ in range(3) if (job := history.submit(150, n=4))]
    assert killer
    end = history.end_of(killer.id)
    assert end.error
    assert end.error.code == "poison"
    assert {history.end_of(job.id).status for job in mates} == {JobStatus.SUCCEEDED}
    entries = {ref.id: entry for ref, entry in history.check().items()}
    assert entries[killer.id].deaths == 3
    assert max(entries[job.id].deaths for job in mates) == 1


def test_a_device_error_ends_the_process_and_the_job_runs_again(fast: House) -> None:
    """T18"""
    fast.worker()
    job = fast.marked("device@5!", steps=10)
    assert fast.end_of(job).status is JobStatus.SUCCEEDED
    assert fast.says("worker.crashed") == 1
    assert fast.says("status=70") == 1
    assert fast.claims(job) == 2


@pytest.mark.parametrize("kind", ["hang_in_c", *also("hang")])
def test_a_step_that_hangs_is_freed_by_the_parent(fast: House, kind: str) -> None:
    """T19"""
    fast.worker("hung_s=2")
    stuck = fast.marked(f"{kind}@3!", steps=10)
    mate = fast.submit(100)
    assert fast.end_of(stuck).status is JobStatus.SUCCEEDED
    assert fast.end_of(mate).status is JobStatus.SUCCEEDED
    assert fast.says("worker.hung") == 1


@pytest.mark.faults
def test_a_step_that_hangs_is_freed_within_thirty_seconds(fast: House, figure: Figure) -> None:
    """T19"""
    fast.worker()
    job, began = fast.marked("hang_in_c@3!"), time.monotonic()
    until(lambda: fast.says("worker.died"), 60, "the hung worker's end")
    figure("a hung step's job is released after", took(began), "s", at_most=30)
    assert fast.end_of(job).status is JobStatus.SUCCEEDED
    figure("a hung step's job is done after", took(began), "s")


def test_a_picture_of_no_numbers_is_never_a_success(fast: House) -> None:
    """T20"""
    fast.worker()
    spoilt, mate = fast.marked("nan@0"), fast.submit()
    end = fast.end_of(spoilt)
    assert (end.status, end.images) == (JobStatus.FAILED, [])
    assert fast.end_of(mate).status is JobStatus.SUCCEEDED


def test_a_worker_that_gets_sigterm_hands_over_and_the_next_goes_on(slow: House) -> None:
    """T21"""
    history = History(slow)
    first = slow.worker()
    jobs = [job for seed in range(3) if (job := history.submit(50, seed=seed))]
    stepping(slow, jobs[-1])
    began = time.monotonic()
    assert first.stop() == 0
    assert took(began) < 5
    assert {slow.client.get(job.id).status for job in jobs} == {JobStatus.QUEUED}
    slow.worker()
    ends = [history.end_of(job.id) for job in jobs]
    assert {job.status for job in ends} == {JobStatus.SUCCEEDED}
    assert slow.steps_made <= 3 * (50 + 1), "a step each at most is made twice"
    history.check()


@pytest.mark.faults
def test_a_reclaimed_machine_costs_the_steps_since_the_last_checkpoint(slow: House) -> None:
    """T22"""
    history = History(slow)
    first = slow.worker()
    job = history.submit(100)
    assert job
    stepping(slow, job)
    until(lambda: slow.steps_made > 30, 30, "some steps")
    os.kill(first.pid, signal.SIGTERM)  # and no time to hear it out
    first.kill()
    made = slow.steps_made
    slow.worker()
    assert history.end_of(job.id).status is JobStatus.SUCCEEDED
    assert slow.steps_made - 100 < made, "it did not start afresh"
    history.check()
