"""Which job is next: by cost and weight among tenants, by priority and age within one."""

from collections import Counter

from latentry.contracts import Priority
from latentry.errors import QueueFull
from latentry.ledger import JobRef, Lease, Ledger, commands
from tests.latentry.ledger.factory import new_job

TEN_MINUTES_US = 600_000_000


def enter(ledger: Ledger, tenant: str, **fields: object) -> JobRef:
    command = commands.create(new_job(tenant=tenant, **fields), max_queued=100_000)
    return ledger.run(command).ref


def claim(ledger: Ledger, room: int = 1, models: tuple[str, ...] = ("shapes",)) -> list[Lease]:
    return ledger.run(commands.claim("w", models, room=room, lease_s=60))


def tenants(leases: list[Lease]) -> list[str]:
    return [lease.ref.tenant for lease in leases]


def test_tenants_take_turns_however_much_one_of_them_has_waiting(ledger: Ledger) -> None:
    for _ in range(20):
        enter(ledger, "crowd")
    claim(ledger, room=3)
    enter(ledger, "alone")
    enter(ledger, "alone")
    assert tenants(claim(ledger, room=4)).count("alone") == 2


def test_a_new_tenant_waits_for_one_batch_of_anothers_many_jobs_at_most(ledger: Ledger) -> None:
    for _ in range(500):
        enter(ledger, "crowd")
    for _ in range(20):
        claim(ledger, room=8)
    enter(ledger, "new")
    assert "new" in tenants(claim(ledger, room=8))


def test_a_tenant_that_fills_the_queue_keeps_no_other_out(ledger: Ledger) -> None:
    def taken(tenant: str, *, weight: int = 1) -> int:
        jobs = 0
        while True:
            try:
                job = new_job(tenant=tenant, weight=weight)
                ledger.run(commands.create(job, max_queued=12))
            except QueueFull:
                return jobs
            jobs += 1

    assert [taken("crowd"), taken("guest"), taken("crowd")] == [12, 6, 0]
    assert taken("heavy", weight=2) == 6
    assert [taken(f"late{number}") for number in range(20)] == [2, 2] + 6 * [1] + 12 * [0]


def test_what_is_shared_is_cost_not_jobs(ledger: Ledger) -> None:
    for _ in range(40):
        enter(ledger, "large", cost_ms=4_000)
        enter(ledger, "small", cost_ms=1_000)
    assert Counter(tenants(claim(ledger, room=40))) == {"large": 8, "small": 32}


def test_three_times_the_weight_is_served_three_times_as_much(ledger: Ledger) -> None:
    for _ in range(40):
        enter(ledger, "heavy", weight=3)
        enter(ledger, "light", weight=1)
    assert Counter(tenants(claim(ledger, room=40))) == {"heavy": 30, "light": 10}


def test_an_idle_tenant_saves_up_no_share(ledger: Ledger) -> None:
    enter(ledger, "guest")
    for _ in range(60):
        enter(ledger, "host")
    claim(ledger, room=40)
    for _ in range(20):
        enter(ledger, "guest")
    served = Counter(tenants(claim(ledger, room=20)))
    assert abs(served["guest"] - served["host"]) <= 2


def test_many_jobs_of_one_model_do_not_delay_another_model(ledger: Ledger) -> None:
    both = ("shapes", "photos")
    for _ in range(200):
        enter(ledger, "crowd", model="photos")
    claim(ledger, room=10, models=both)
    enter(ledger, "alone")
    assert "alone" in tenants(claim(ledger, room=2, models=both))


def test_a_tenant_served_at_one_model_has_had_its_turn_at_another(ledger: Ledger) -> None:
    both = ("shapes", "photos")
    for _ in range(20):
        enter(ledger, "two", model="photos")
        enter(ledger, "two", model="shapes")
        enter(ledger, "one", model="shapes")
    assert Counter(tenants(claim(ledger, room=20, models=both))) == {"one": 10, "two": 10}


def test_high_goes_first_and_low_last_among_a_tenants_own(ledger: Ledger) -> None:
    order = [Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.NORMAL]
    refs = [enter(ledger, "one", priority=priority) for priority in order]
    assert [lease.ref for lease in claim(ledger, room=4)] == [refs[i] for i in (2, 1, 3, 0)]


def test_no_priority_comes_before_another_tenants_turn(ledger: Ledger) -> None:
    for _ in range(10):
        enter(ledger, "pushy", priority=Priority.HIGH)
        enter(ledger, "patient", priority=Priority.LOW)
    assert Counter(tenants(claim(ledger, room=10))) == {"pushy": 5, "patient": 5}


def test_low_is_only_ten_minutes_later_so_it_does_not_starve(ledger: Ledger) -> None:
    old = enter(ledger, "one", priority=Priority.LOW)
    own = f"{ledger.root}:tenant_queue:shapes:one"
    ledger.client.zincrby(own, -TEN_MINUTES_US - 1, str(old))  # it came ten minutes ago
    young = [enter(ledger, "one") for _ in range(3)]
    assert [lease.ref for lease in claim(ledger, room=4)] == [old, *young]


def test_a_job_that_comes_back_keeps_its_place_and_its_tenants_turn(ledger: Ledger) -> None:
    first = enter(ledger, "one")
    [lease] = claim(ledger)
    enter(ledger, "one")
    enter(ledger, "two")
    ledger.run(commands.release(lease))
    assert claim(ledger)[0].ref == first, "its tenant is not charged twice"
