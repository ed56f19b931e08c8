"""`start_within` bounds the wait, `finish_within` all of it: nothing runs past its deadline."""

import pytest

from latentry.contracts import JobStatus
from latentry.errors import LeaseLost
from latentry.ledger import JobRecord, JobRef, Ledger, commands
from latentry.ledger.signals import Signals, Stop
from tests.latentry.ledger.factory import new_job


def create(ledger: Ledger, **fields: int) -> JobRef:
    return ledger.run(commands.create(new_job(**fields), max_queued=100)).ref


def read(ledger: Ledger, ref: JobRef) -> JobRecord:
    record = ledger.run(commands.get(ref))
    assert record is not None
    return record


def time_is_over(ledger: Ledger, ref: JobRef) -> None:
    """As if it had been accepted long ago."""
    record = f"{ledger.root}:job:{ref}"
    ledger.client.hset(record, "finish_by_ms", read(ledger, ref).created_ms)
    ledger.client.zadd(f"{ledger.root}:deadlines", {str(ref): 0}, xx=True)


def test_a_job_that_does_not_start_in_time_expires_without_any_work(ledger: Ledger) -> None:
    ref = create(ledger, start_within_ms=1)
    patient = create(ledger)
    while read(ledger, ref).state is JobStatus.QUEUED:
        ledger.run(commands.sweep(lease_s=60))
    assert read(ledger, ref).state is JobStatus.EXPIRED
    assert read(ledger, ref).claims == 0
    assert read(ledger, patient).state is JobStatus.QUEUED


def test_a_job_that_started_in_time_need_not_start_in_time_again(ledger: Ledger) -> None:
    ref = create(ledger, start_within_ms=60_000)
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    ledger.run(commands.report_progress([(lease, 1, 4)]))
    ledger.client.hset(f"{ledger.root}:job:{ref}", "deadline_ms", read(ledger, ref).created_ms)
    ledger.run(commands.release(lease))
    ledger.run(commands.sweep(lease_s=60))
    assert read(ledger, ref).state is JobStatus.QUEUED


def test_a_running_job_past_its_deadline_expires_and_its_worker_is_signalled(
    ledger: Ledger,
) -> None:
    ref = create(ledger, finish_within_ms=60_000)
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    signals = Signals(ledger)
    signals.wait(0.01)
    time_is_over(ledger, ref)
    ledger.run(commands.sweep(lease_s=60))
    assert read(ledger, ref).state is JobStatus.EXPIRED
    assert ledger.run(commands.renew([lease], lease_s=60)) == ["lost"]
    heard = any(signals.wait(1) == Stop(ref) for _ in range(5))  # besides those of subscribing
    signals.close()
    assert heard


def test_a_worker_that_ends_a_job_too_late_ends_it_expired(ledger: Ledger) -> None:
    ref = create(ledger, finish_within_ms=60_000)
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    time_is_over(ledger, ref)
    with pytest.raises(LeaseLost):
        ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    assert read(ledger, ref).state is JobStatus.EXPIRED


def test_a_job_that_comes_back_still_has_to_end_in_time(ledger: Ledger) -> None:
    ref = create(ledger, finish_within_ms=60_000)
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    ledger.run(commands.report_progress([(lease, 1, 4)]))
    time_is_over(ledger, ref)
    ledger.run(commands.release(lease))
    assert ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60)) == []
    assert read(ledger, ref).state is JobStatus.EXPIRED
