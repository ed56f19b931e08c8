"""A claim whose reply was lost is repeated; a fence is never given twice."""

import pytest

from latentry.contracts import JobStatus, Progress
from latentry.ledger import JobRef, Ledger, commands
from latentry.ledger.claiming import run_claim
from tests.latentry.ledger.factory import new_job


def create(ledger: Ledger) -> JobRef:
    return ledger.run(commands.create(new_job(), max_queued=100)).ref


def test_a_repeated_claim_returns_the_same_leases(ledger: Ledger) -> None:
    for _ in range(4):
        create(ledger)
    claim = commands.claim("w", ["shapes"], room=2, lease_s=60)
    first = ledger.run(claim)
    assert len(first) == 2
    assert ledger.run(claim) == first
    others = ledger.run(commands.claim("w", ["shapes"], room=2, lease_s=60))
    assert {lease.ref for lease in others}.isdisjoint({lease.ref for lease in first})


def test_a_repeated_claim_does_not_return_leases_that_were_lost_since(ledger: Ledger) -> None:
    create(ledger)
    create(ledger)
    claim = commands.claim("w", ["shapes"], room=2, lease_s=60)
    lost, kept = ledger.run(claim)
    ledger.run(commands.release(lost))
    assert ledger.run(claim) == [kept]


def test_a_claim_says_how_many_jobs_it_left_waiting(ledger: Ledger) -> None:
    for _ in range(5):
        create(ledger)
    claim = commands.claim("w", ["shapes", "another"], room=2, lease_s=60)
    assert ledger.run(claim).waiting == 3
    assert ledger.run(claim).waiting == 3, "also when it is repeated"
    rest = ledger.run(commands.claim("w", ["shapes"], room=9, lease_s=60))
    assert (len(rest), rest.waiting) == (3, 0)


def test_a_job_that_is_claimed_for_a_free_row_counts_as_begun_where_it_was(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    assert lease.record.progress is None, "it waits for a row"
    ledger.run(commands.report_progress([(lease, 3, 4)]))
    ledger.run(commands.release(lease))
    [again] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60, begins=True))
    assert again.record.progress == Progress(step=3, steps=4)
    ledger.client.zadd(f"{ledger.root}:leases", {str(ref): 0})
    ledger.run(commands.sweep(lease_s=60))
    record = ledger.run(commands.get(ref))
    assert record is not None
    assert record.crashes == 1, "its worker died before any report"


def test_a_fence_rises_even_where_redis_forgot_the_last_one(ledger: Ledger) -> None:
    create(ledger)
    [first] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    ledger.run(commands.release(first))
    ledger.client.hset(f"{ledger.root}:job:{first.ref}", "fence", 0)  # the tail of a log was lost
    seconds, micros = ledger.client.time()
    while seconds * 1000 + micros // 1000 <= first.fence:
        seconds, micros = ledger.client.time()
    [second] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    assert second.fence > first.fence


def test_a_record_that_cannot_be_moved_ends_and_keeps_no_other_from_being_swept(
    ledger: Ledger,
) -> None:
    running, waiting, other = (create(ledger) for _ in range(3))
    ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=0))
    for ref in (running, waiting):  # as of a version that counted no costs
        ledger.client.hdel(f"{ledger.root}:job:{ref}", "cost_ms", "score", "weight")
    ledger.client.zadd(f"{ledger.root}:deadlines", {str(waiting): 0, str(other): 1})
    assert set(ledger.run(commands.sweep(lease_s=60)).unreadable) == {running, waiting}
    states = [ledger.client.hget(f"{ledger.root}:job:{r}", "state") for r in (running, waiting)]
    assert states == [JobStatus.FAILED, JobStatus.FAILED]
    record = ledger.run(commands.get(other))
    assert record is not None
    assert record.state is JobStatus.EXPIRED
    swept = ledger.run(commands.sweep(lease_s=60))
    assert swept.unreadable == ()
    assert ledger.run(commands.claim("w", ["shapes"], room=3, lease_s=60)) == []


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        '{"from": "another version"}',
        "5",
        "null",
        "{",
        '{"num_inference_steps": null}',
        '{"num_inference_steps": "x"}',
        '{"num_inference_steps": 1e300}',
    ],
)
def test_a_record_that_makes_no_sense_ends_and_hides_no_other(
    ledger: Ledger, text: str, begins: bool
) -> None:
    first, broken, last = (create(ledger) for _ in range(3))
    ledger.client.hset(f"{ledger.root}:job:{broken}", "request", text)
    page = ledger.run(commands.list_jobs("default", below=None, limit=10))
    assert [record and record.ref for record in page] == [last, None, first]
    leases = run_claim(ledger, commands.claim("w", ["shapes"], room=3, lease_s=60, begins=begins))
    assert [lease.ref for lease in leases] == [first, last]
    record = f"{ledger.root}:job:{broken}"
    assert ledger.client.hmget(record, "state", "error_code") == [
        JobStatus.FAILED,
        "unreadable_record",
    ]
