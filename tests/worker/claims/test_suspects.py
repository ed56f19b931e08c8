"""Jobs under suspicion: claimed with care, and run alone when it comes to that."""

import time

import pytest

from latentry.contracts import JobStatus
from latentry.ledger import JobRecord, JobRef, Lease, Ledger, commands
from latentry.storage import Storage
from tests.latentry.ledger.factory import card, request
from tests.worker.harness import Worker, ended, read, submit, when
from worker.claims.claimed_job import PROOF_S, ClaimedJob
from worker.claims.claimer import Claimer, Offer
from worker.claims.inbox import Claimed, Inbox
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter


def claimed_job(*, crashes: int, reached: int = 0, n: int = 1) -> ClaimedJob:
    ref = JobRef("default", "gen_1")
    record = JobRecord(ref, JobStatus.RUNNING, request(n=n), 1, 1, crashes=crashes, reached=reached)
    return ClaimedJob(Lease(ref, 1, record))


@pytest.mark.parametrize(
    ("crashes", "is_suspect", "is_quarantined"),
    [(0, False, False), (1, True, False), (2, True, True)],
)
def test_a_job_whose_workers_died_is_suspect_and_after_the_second_one_runs_alone(
    crashes: int, is_suspect: bool, is_quarantined: bool
) -> None:
    job = claimed_job(crashes=crashes)
    assert (job.is_suspect, job.is_quarantined) == (is_suspect, is_quarantined)


def test_it_is_cleared_by_a_step_beyond_the_last_one_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = claimed_job(crashes=2, reached=3, n=2)
    for index in (0, 1):
        job.step(index, 3)
    assert job.is_quarantined, "that far it came before"
    job.step(0, 4)
    assert job.is_quarantined, "its other image is where it was"
    assert job.step(1, 4) == 3, "nothing is reported that would clear it"
    assert job.is_quarantined, "its worker may have come further than it reported"
    monkeypatch.setattr("worker.claims.claimed_job.monotonic", lambda: time.monotonic() + PROOF_S)
    assert job.is_quarantined, "it may hang: only a step proves that it lives"
    assert job.step(0, 5) == 4
    assert not job.is_suspect


def test_one_that_is_drawn_can_do_no_more_harm() -> None:
    job = claimed_job(crashes=2, reached=4)
    job.leave_engine(0)
    assert not job.is_suspect


def died(ledger: Ledger, ref: JobRef, *, times: int, reached: int = 4) -> None:
    """Workers die while they run this job, always at the same step."""
    for number in range(times):
        claim = commands.claim(f"dead-{number}", ["shapes"], room=1, lease_s=0)
        [lease] = ledger.run(claim)
        assert lease.ref == ref
        ledger.run(commands.report_progress([(lease, reached, 4)]))
        ledger.run(commands.sweep(lease_s=2))


def test_one_that_kills_in_its_first_step_is_charged_where_it_waits_for_a_row(
    ledger: Ledger,
) -> None:
    """Beside busy rows nothing is reported before it kills; it comes back to a busy worker."""
    inbox, queues = Inbox(), QueueChoice(["shapes"], tuple)
    reporter = Reporter(ledger, inbox, "w1", [card()], lease_s=60, heartbeat_s=5)
    claimer = Claimer(ledger, inbox, "w1", queues, reporter, lease_s=60)
    received = 0

    def claim() -> list[ClaimedJob]:
        nonlocal received
        claimer.offer(Offer(room=1, received=received))
        claimer.work()
        jobs = [message.job for message in inbox.take() if isinstance(message, Claimed)]
        received += len(jobs)
        return jobs

    submit(ledger)
    assert len(claim()) == 1, "it steps something else"
    killer = submit(ledger)
    deaths = 0
    while read(ledger, killer).crashes == 0:
        assert deaths < 3, "it kills one worker after the other, and it is not known"
        [job] = [job for job in claim() if job.lease.ref == killer]
        reporter.forget(job)
        ledger.client.zadd(f"{ledger.root}:leases", {str(killer): 0})
        ledger.run(commands.sweep(lease_s=60))
        deaths += 1


def test_a_twice_crashed_job_runs_alone_and_the_others_run_after_it(
    ledger: Ledger, storage: Storage
) -> None:
    suspect = submit(ledger, prompt="for ever")  # it never comes further than it was
    died(ledger, suspect, times=2)
    other = submit(ledger)
    worker = Worker(ledger, storage)
    worker.start()
    when(ledger, suspect, lambda record: record.progress and record.progress.step)
    until = time.monotonic() + 1.5  # it looks once a second, whatever it hears
    while time.monotonic() < until:
        assert read(ledger, other).state is JobStatus.QUEUED
    ledger.run(commands.cancel(suspect))
    assert ended(ledger, other).state is JobStatus.SUCCEEDED
    worker.stop()
