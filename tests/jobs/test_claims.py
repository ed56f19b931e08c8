"""A claim whose answer was lost is asked again; a fence is never handed out twice."""

from latentry.jobs import Ledger, commands
from tests.jobs.factory import new_job


def create(ledger: Ledger) -> None:
    ledger.run(commands.create(new_job(), max_queued=100))


def test_a_claim_asked_again_answers_the_same_leases(ledger: Ledger) -> None:
    for _ in range(4):
        create(ledger)
    asked = commands.claim("w", ["shapes"], room=2, lease_s=60)
    first = ledger.run(asked)
    assert len(first) == 2
    assert ledger.run(asked) == first
    others = ledger.run(commands.claim("w", ["shapes"], room=2, lease_s=60))
    assert {lease.ref for lease in others}.isdisjoint({lease.ref for lease in first})


def test_a_claim_asked_again_does_not_answer_what_was_lost_since(ledger: Ledger) -> None:
    create(ledger)
    create(ledger)
    asked = commands.claim("w", ["shapes"], room=2, lease_s=60)
    lost, kept = ledger.run(asked)
    ledger.run(commands.release(lost))
    assert ledger.run(asked) == [kept]


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
