"""Which running job yields to which urgent one."""

from typing import Any

import pytest

from latentry.contracts import JobStatus, Lora, Priority, ResolvedRequest
from latentry.ledger import JobRef, Lease, Ledger, NewJob, commands
from latentry.rules.pricing import Price
from tests.latentry.ledger.factory import request

_ids = iter(range(1_000_000))


def enter(
    ledger: Ledger,
    tenant: str = "ann",
    *,
    priority: Priority = Priority.LOW,
    wanted: ResolvedRequest | None = None,
    **job: Any,
) -> JobRef:
    ref = JobRef(tenant, f"gen_{next(_ids)}")
    new = NewJob(ref, wanted or request(), 60_000, 60_000, priority=priority, **job)
    ledger.run(commands.create(new, max_queued=99))
    return ref


def running(ledger: Ledger, **job: Any) -> Lease:
    ref = enter(ledger, **job)
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=60))
    assert lease.ref == ref
    return lease


def hurried(ledger: Ledger, tenant: str = "ann") -> JobRef:
    return enter(ledger, tenant, priority=Priority.HIGH, start_within_ms=2_000)


def urgent(
    ledger: Ledger, *held: Lease, worker: str = "w1", within_s: float = 5
) -> dict[JobRef, JobRef]:
    return ledger.run(commands.find_urgent(worker, ["shapes"], within_s=within_s, held=held))


def exchange(ledger: Ledger, lease: Lease, for_: JobRef) -> list[Lease]:
    return ledger.run(commands.exchange(lease, for_, worker="w1", lease_s=60))


def state(ledger: Ledger, ref: JobRef) -> JobStatus:
    record = ledger.run(commands.get(ref))
    assert record is not None
    return record.state


def test_the_first_held_job_yields_to_a_high_one_that_would_be_late(ledger: Ledger) -> None:
    first, second = running(ledger), running(ledger)
    high = hurried(ledger)
    assert urgent(ledger, second, first) == {second.ref: high}
    assert urgent(ledger, second, first) == {second.ref: high}, "and again, if asked again"


def test_each_high_job_gets_one_held_job_of_its_own(ledger: Ledger) -> None:
    first, second = running(ledger), running(ledger)
    highs = {hurried(ledger), hurried(ledger), hurried(ledger)}
    found = urgent(ledger, first, second)
    assert set(found) == {first.ref, second.ref}
    assert len(set(found.values()) & highs) == 2


def test_a_job_that_would_end_too_late_is_as_urgent_as_one_that_would_start_too_late(
    ledger: Ledger,
) -> None:
    held = running(ledger)
    takes_4_s = Price(cost_ms=4_000, seats=2, images=4)
    high = enter(ledger, priority=Priority.HIGH, finish_within_ms=20_000, price=takes_4_s)
    assert urgent(ledger, held, within_s=15) == {}
    assert urgent(ledger, held, within_s=17) == {held.ref: high}


def test_no_job_yields_to_one_whose_adapters_a_full_worker_lacks(ledger: Ledger) -> None:
    """It would be handed back at once, and the row stay empty."""
    held = running(ledger)
    lora = Lora(id="ink", weight=1.0, text_encoder_weight=1.0, sha256="1" * 64)
    high = enter(
        ledger, priority=Priority.HIGH, start_within_ms=2_000, wanted=request(loras=(lora,))
    )

    def yields(*, is_full: bool) -> dict[JobRef, JobRef]:
        query = commands.find_urgent("w1", ["shapes"], within_s=5, held=[held], is_full=is_full)
        return ledger.run(query)

    assert yields(is_full=True) == {}
    assert yields(is_full=False) == {held.ref: high}
    ledger.run(commands.hold("w1", [lora.sha256], ttl_s=60))
    assert yields(is_full=True) == {held.ref: high}, "what it has, it may use"
    plain = hurried(ledger)
    ledger.run(commands.hold("w1", [], ttl_s=60))
    assert yields(is_full=True) == {held.ref: plain}


@pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.LOW])
def test_only_high_jobs_are_urgent(ledger: Ledger, priority: Priority) -> None:
    held = running(ledger)
    enter(ledger, priority=priority, start_within_ms=2_000)
    assert urgent(ledger, held) == {}


def test_no_job_yields_to_another_tenants_job_whatever_its_priority(ledger: Ledger) -> None:
    held = running(ledger)
    hurried(ledger, "bob")
    assert urgent(ledger, held) == {}


def test_high_jobs_do_not_yield_to_each_other(ledger: Ledger) -> None:
    held = running(ledger, priority=Priority.HIGH)
    hurried(ledger)
    assert urgent(ledger, held) == {}


def test_a_job_that_can_wait_for_the_next_free_row_is_not_urgent(ledger: Ledger) -> None:
    held = running(ledger)
    hurried(ledger)
    assert urgent(ledger, held, within_s=0.5) == {}


def test_one_worker_makes_room_for_a_job_not_two(ledger: Ledger) -> None:
    first, second = running(ledger), running(ledger)
    high = hurried(ledger)
    assert urgent(ledger, first, worker="w1") == {first.ref: high}
    assert urgent(ledger, second, worker="w2") == {}


def test_an_exchange_puts_the_one_back_in_its_queue_and_starts_the_other(ledger: Ledger) -> None:
    low = running(ledger)
    high = hurried(ledger)
    [lease] = exchange(ledger, low, high)
    assert (lease.ref, state(ledger, high)) == (high, JobStatus.RUNNING)
    assert state(ledger, low.ref) is JobStatus.QUEUED
    [again] = exchange(ledger, low, high)
    assert again == lease, "its reply may have been lost"
    record = ledger.run(commands.get(low.ref))
    assert record is not None
    assert record.crashes == 0


def test_an_exchange_for_one_that_is_gone_only_hands_back(ledger: Ledger) -> None:
    low = running(ledger)
    high = hurried(ledger)
    ledger.run(commands.cancel(high))
    assert exchange(ledger, low, high) == []
    assert state(ledger, low.ref) is JobStatus.QUEUED


def test_an_exchange_starts_nothing_whose_time_is_over(ledger: Ledger) -> None:
    low = running(ledger)
    high = enter(ledger, priority=Priority.HIGH, finish_within_ms=60_000)
    ledger.client.hset(f"{ledger.root}:job:{high}", "finish_by_ms", 1)
    assert exchange(ledger, low, high) == []
    assert state(ledger, high) is JobStatus.QUEUED


def test_an_exchange_never_begins_what_should_have_ended(ledger: Ledger) -> None:
    low = running(ledger)
    high = hurried(ledger)
    ledger.client.hset(f"{ledger.root}:job:{high}", "finish_by_ms", 1)  # no sweeper came by yet
    assert exchange(ledger, low, high) == []
    assert state(ledger, high) is JobStatus.QUEUED


def test_an_exchange_never_takes_what_another_worker_runs(ledger: Ledger) -> None:
    low = running(ledger)
    high = hurried(ledger)
    ledger.run(commands.claim("w2", ["shapes"], room=1, lease_s=60))
    assert state(ledger, high) is JobStatus.RUNNING
    assert exchange(ledger, low, high) == []


def test_a_job_that_was_canceled_meanwhile_ends_instead(ledger: Ledger) -> None:
    low = running(ledger)
    high = hurried(ledger)
    ledger.run(commands.cancel(low.ref))
    assert len(exchange(ledger, low, high)) == 1
    assert state(ledger, low.ref) is JobStatus.CANCELED
