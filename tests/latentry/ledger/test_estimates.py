"""When a job would start, and that none is accepted that would start too late."""

import pytest

from latentry.contracts import Priority
from latentry.errors import DeadlineUnreachable, QueueFull
from latentry.ledger import JobRef, Ledger, commands
from tests.latentry.ledger.factory import new_job

SECOND = {"cost_ms": 1_000, "seats": 2}  # a worker makes one a second, two at a time


@pytest.fixture
def live(ledger: Ledger) -> Ledger:
    ledger.run(commands.heartbeat("w", ["shapes"], ttl_s=60))
    return ledger


def create(ledger: Ledger, tenant: str = "one", **fields: object) -> JobRef:
    job = new_job(tenant=tenant, **(SECOND | fields))
    return ledger.run(commands.create(job, max_queued=100, max_wait_s=60)).ref


def wait_ms(ledger: Ledger, tenant: str = "one", **fields: object) -> int | None:
    job = new_job(tenant=tenant, **(SECOND | fields))
    return ledger.run(commands.estimate(job, max_queued=100)).wait_ms


def fill(ledger: Ledger, jobs: int, tenant: str = "one") -> None:
    for _ in range(jobs):
        create(ledger, tenant)


def run_two(ledger: Ledger) -> None:
    fill(ledger, 2)
    assert len(ledger.run(commands.claim("w", ["shapes"], room=2, lease_s=60))) == 2


def test_an_idle_worker_starts_at_once_what_it_has_seats_for(live: Ledger) -> None:
    assert wait_ms(live) == 0
    fill(live, 1)
    assert wait_ms(live) == 0


def test_where_all_seats_are_taken_what_runs_is_half_done_on_average(live: Ledger) -> None:
    run_two(live)
    assert wait_ms(live) == 1_000
    fill(live, 3)
    assert wait_ms(live) == 4_000


def test_two_workers_halve_the_wait(live: Ledger) -> None:
    run_two(live)
    live.run(commands.heartbeat("w2", ["shapes"], ttl_s=60))
    live.run(commands.claim("w2", ["shapes"], room=2, lease_s=60))
    fill(live, 2)
    live.run(commands.claim("w2", ["shapes"], room=2, lease_s=60))
    fill(live, 4)
    assert wait_ms(live) == pytest.approx(3_000, abs=1_000)


def test_one_tenants_many_jobs_delay_others_only_by_a_fair_share(live: Ledger) -> None:
    run_two(live)
    fill(live, 30)
    assert wait_ms(live, "two") == 1_000
    create(live, "two")
    assert wait_ms(live, "two") == 3_000, "its own, and as much of the crowd's"
    assert wait_ms(live) > 30_000


def test_an_estimate_follows_the_priority_among_a_tenants_own_jobs(live: Ledger) -> None:
    run_two(live)
    fill(live, 20)
    assert wait_ms(live, priority=Priority.HIGH) == 1_000


def test_what_else_the_same_workers_have_to_do_counts(ledger: Ledger) -> None:
    ledger.run(commands.heartbeat("w", ["shapes", "photos"], ttl_s=60))
    fill(ledger, 2)
    ledger.run(commands.claim("w", ["shapes"], room=2, lease_s=60))
    for _ in range(5):
        create(ledger, model="photos")
    assert wait_ms(ledger) == 6_000


def test_without_a_live_worker_or_its_pace_there_is_no_estimate(ledger: Ledger) -> None:
    assert wait_ms(ledger) is None
    ledger.run(commands.heartbeat("w", ["shapes"], ttl_s=60))
    assert wait_ms(ledger, seats=0) is None


def test_a_waiting_job_knows_when_it_may_start(live: Ledger) -> None:
    run_two(live)
    fill(live, 3)
    ref = create(live)
    record = live.run(commands.get(ref))
    assert record is not None
    assert record.start_ms is not None
    assert 3_500 < record.start_ms - record.created_ms < 5_000
    assert record.position == 3


def test_a_page_reads_the_queues_once_however_many_of_its_jobs_wait(live: Ledger) -> None:
    for number in range(20):
        create(live, f"other{number}")
    fill(live, 10)

    def hashes_read() -> int:
        return live.client.info("commandstats")["cmdstat_hgetall"]["calls"]

    before = hashes_read()
    page = live.run(commands.list_jobs("one", below=None, limit=10))
    assert hashes_read() - before == len(page) + 1, "each record, and who waits"
    for record in page:
        alone = live.run(commands.get(record.ref))
        assert alone is not None
        assert alone.start_ms == pytest.approx(record.start_ms, abs=1_000)


@pytest.mark.parametrize(
    ("fields", "is_taken"),
    [
        ({}, True),
        ({"start_within_ms": 14_000}, True),
        ({"start_within_ms": 12_500}, False),  # estimates err
        ({"finish_within_ms": 17_000}, True),
        ({"finish_within_ms": 15_000}, False),  # it takes two seconds itself
    ],
)
def test_what_would_start_too_late_is_refused_at_once(live: Ledger, fields, is_taken) -> None:
    run_two(live)
    fill(live, 10)
    if is_taken:
        assert create(live, **fields)
        return
    with pytest.raises(DeadlineUnreachable) as refused:
        create(live, **fields)
    assert refused.value.retry_after_s == pytest.approx(1)


def test_no_job_is_accepted_that_would_wait_longer_than_the_service_allows(live: Ledger) -> None:
    run_two(live)
    fill(live, 60)
    with pytest.raises(DeadlineUnreachable):
        create(live)
    assert create(live, "two"), "others have their own share"


def test_a_full_queue_says_when_a_place_is_free(live: Ledger) -> None:
    run_two(live)
    fill(live, 4)
    with pytest.raises(QueueFull) as refused:
        live.run(commands.create(new_job(tenant="one", **SECOND), max_queued=4))
    assert refused.value.retry_after_s == 1


def test_an_estimate_enters_nothing(live: Ledger) -> None:
    before = sorted(live.client.keys(f"{live.root}:*"))
    wait_ms(live, idempotency_key="k")
    assert sorted(live.client.keys(f"{live.root}:*")) == before
