"""Previews of tasks: made and kept while somebody looks, by whichever worker has the job."""

import base64

import pytest

from latentry.contracts import JobStatus
from latentry.ledger import JobRef, Lease, Ledger, commands, instances
from latentry.ledger.commands.worker import WATCHED_EVERY_MS
from latentry.ledger.instances.previews import WATCHED_MS, TaskPreview
from latentry.ledger.leases import Reported
from tests.latentry.ledger.factory import new_job


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    ledger.run(commands.create(new_job(), max_queued=9))
    return claimed(ledger, "w1")


def claimed(ledger: Ledger, worker: str) -> Lease:
    [lease] = ledger.run(commands.claim(worker, ["shapes"], room=1, lease_s=60))
    return lease


def look(ledger: Ledger, ref: JobRef, every: int = 1) -> TaskPreview | None:
    return ledger.run(instances.watch(ref, every=every))


def report(ledger: Ledger, *leases: Lease) -> Reported:
    return ledger.run(commands.report_progress([(lease, 1, 4) for lease in leases]))


def name(ledger: Ledger, lease: Lease) -> str:
    return f"{ledger.root}:preview:{lease.ref}"


def pass_a_second(ledger: Ledger, lease: Lease) -> None:
    """Since the last preview was asked for."""
    ledger.client.hincrby(name(ledger, lease), "due_ms", -WATCHED_EVERY_MS)


def test_nothing_is_made_or_kept_where_nobody_looks(ledger: Ledger, lease: Lease) -> None:
    assert report(ledger, lease) == Reported(1)
    assert not ledger.run(instances.keep_preview(lease, 0, 1, b"jpeg"))
    assert not ledger.client.exists(name(ledger, lease))


def test_who_looks_sees_the_latest_one(ledger: Ledger, lease: Lease) -> None:
    assert look(ledger, lease.ref, every=3) is None
    assert report(ledger, lease) == Reported(1, ((0, 3),))
    for step in (1, 2):
        assert ledger.run(instances.keep_preview(lease, 1, step, b"%d" % step))
    seen = look(ledger, lease.ref)
    assert seen == TaskPreview(1, 2, base64.b64encode(b"2").decode())
    assert look(ledger, lease.ref) == seen


def test_of_many_jobs_those_are_shown_that_are_looked_at(ledger: Ledger, lease: Lease) -> None:
    leases = [lease]
    for _ in range(3):
        ledger.run(commands.create(new_job(), max_queued=9))
        leases.append(claimed(ledger, "w1"))
    for watched in leases[1::2]:
        look(ledger, watched.ref)
    assert report(ledger, *leases) == Reported(4, ((1, 1), (3, 1)))


def test_however_many_look_there_is_one_in_a_second(ledger: Ledger, lease: Lease) -> None:
    asked = 0
    for _ in range(9):
        look(ledger, lease.ref)
        asked += len(report(ledger, lease).watched)
    assert asked == 1
    pass_a_second(ledger, lease)
    assert report(ledger, lease).watched


def test_after_a_while_nobody_looks_any_more(ledger: Ledger, lease: Lease) -> None:
    look(ledger, lease.ref)
    ledger.run(instances.keep_preview(lease, 0, 1, b"jpeg"))
    assert 0 < ledger.client.pttl(name(ledger, lease)) <= WATCHED_MS
    ledger.client.pexpire(name(ledger, lease), 1_000)
    ledger.run(instances.keep_preview(lease, 0, 2, b"jpeg"))
    assert ledger.client.pttl(name(ledger, lease)) <= 1_000, "a picture is no look"
    look(ledger, lease.ref)
    assert ledger.client.pttl(name(ledger, lease)) > 1_000
    ledger.client.delete(name(ledger, lease))
    assert not report(ledger, lease).watched
    assert not ledger.run(instances.keep_preview(lease, 0, 2, b"jpeg"))


def test_another_worker_goes_on_showing_and_the_first_one_may_not(
    ledger: Ledger, lease: Lease
) -> None:
    look(ledger, lease.ref)
    report(ledger, lease)
    ledger.run(instances.keep_preview(lease, 0, 1, b"first"))
    ledger.run(commands.renew([lease], lease_s=0))  # as if it had been killed
    ledger.run(commands.sweep(lease_s=5))
    assert look(ledger, lease.ref) is None, "it waits"
    assert report(ledger, lease) == Reported(0)
    second = claimed(ledger, "w2")
    pass_a_second(ledger, lease)
    assert report(ledger, second).watched
    assert ledger.run(instances.keep_preview(second, 0, 2, b"second"))
    assert not ledger.run(instances.keep_preview(lease, 0, 3, b"late"))
    seen = look(ledger, lease.ref)
    assert seen
    assert (seen.step, seen.jpeg) == (2, base64.b64encode(b"second").decode())


def test_of_a_job_that_does_not_run_nothing_is_seen_or_noted(ledger: Ledger, lease: Lease) -> None:
    ledger.run(commands.create(new_job("gen_waits"), max_queued=9))
    for ref in (JobRef("default", "gen_waits"), JobRef("default", "gen_never")):
        assert look(ledger, ref) is None
        assert not ledger.client.exists(f"{ledger.root}:preview:{ref}")
        assert not ledger.client.hexists(f"{ledger.root}:job:{ref}", "watched")
    look(ledger, lease.ref)
    ledger.run(instances.keep_preview(lease, 0, 1, b"jpeg"))
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    assert look(ledger, lease.ref) is None
    assert not ledger.client.hexists(f"{ledger.root}:job:{lease.ref}", "watched")


def test_a_picture_has_one_number_and_others_have_others() -> None:
    numbers = {TaskPreview(index, step, "").number for index in range(10) for step in range(2_001)}
    assert len(numbers) == 10 * 2_001
    assert min(numbers) >= 0
