"""Checkpoints of unfinished images, kept in the ledger for the worker that resumes the job."""

import os

import pytest

from latentry.contracts import JobStatus
from latentry.errors import LeaseLost, LedgerUnavailable
from latentry.ledger import AsyncLedger, Lease, Ledger, commands
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job
from tests.valkey import Valkey

BUDGET = 10_000


def claim(ledger: Ledger, **ttl: int) -> Lease:
    ledger.run(commands.create(new_job(**ttl), max_queued=100))
    return reclaim(ledger)


def reclaim(ledger: Ledger) -> Lease:
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=60))
    return lease


def save(ledger: Ledger, lease: Lease, saved: bytes, index: int = 0) -> bool:
    return ledger.run(commands.save_checkpoint(lease, index, saved, budget_bytes=BUDGET))


def read(ledger: Ledger, lease: Lease) -> dict[int, bytes]:
    return ledger.run(commands.list_checkpoints(lease))


def held(ledger: Ledger) -> dict[str, str]:
    return ledger.client.hgetall(f"{ledger.root}:checkpoints")


def test_the_next_worker_reads_what_the_last_one_saved_last(ledger: Ledger) -> None:
    lease = claim(ledger)
    assert read(ledger, lease) == {}
    for saved in (os.urandom(500), b"\xff\x00\r\n" * 99):  # any bytes, not only text
        assert save(ledger, lease, saved)
    assert save(ledger, lease, b"another image", index=3)
    ledger.run(commands.release(lease))
    assert read(ledger, reclaim(ledger)) == {0: saved, 3: b"another image"}


async def test_both_ledgers_read_bytes(ledger: Ledger, async_ledger: AsyncLedger) -> None:
    lease = claim(ledger)
    save(ledger, lease, b"\xff\xfe")
    assert await async_ledger.run(commands.list_checkpoints(lease)) == {0: b"\xff\xfe"}


def test_a_worker_that_lost_its_lease_neither_writes_nor_reads(ledger: Ledger) -> None:
    old = claim(ledger)
    save(ledger, old, b"old")
    ledger.run(commands.release(old))
    new = reclaim(ledger)
    with pytest.raises(LeaseLost):
        save(ledger, old, b"from the dead")
    assert read(ledger, old) == {}
    assert read(ledger, new) == {0: b"old"}


def test_past_the_budget_a_checkpoint_is_left_out_and_the_one_before_stays(ledger: Ledger) -> None:
    first, second = claim(ledger), claim(ledger)
    assert save(ledger, first, b"x" * 6_000)
    assert not save(ledger, second, b"x" * 6_000)
    assert save(ledger, second, b"x" * 4_000)
    assert not save(ledger, second, b"y" * 4_001)
    assert save(ledger, second, b"y" * 4_000)  # no more than before
    assert read(ledger, second) == {0: b"y" * 4_000}
    assert held(ledger)["total"] == str(BUDGET)


@pytest.mark.parametrize("way", ["settle", "forget", "cancel", "poison"])
def test_nothing_is_kept_for_a_job_that_has_ended(ledger: Ledger, way: str) -> None:
    lease = claim(ledger)
    save(ledger, lease, b"x" * BUDGET)
    match way:
        case "settle":
            ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
        case "forget":
            ledger.run(commands.forget(lease.ref))
        case "cancel":
            ledger.run(commands.release(lease))
            ledger.run(commands.cancel(lease.ref))
        case "poison":
            crash(ledger, lease)
            for _ in range(commands.POISON_CRASHES - 1):
                crash(ledger, reclaim(ledger))
    assert held(ledger) == {"total": "0"}
    assert ledger.client.keys(f"{ledger.root}:checkpoint:*") == []
    assert save(ledger, claim(ledger), b"x" * BUDGET)


def crash(ledger: Ledger, lease: Lease) -> None:
    ledger.run(commands.report_progress([(lease, 1, 4)]))
    ledger.client.zadd(f"{ledger.root}:leases", {str(lease.ref): 0})
    ledger.run(commands.sweep(lease_s=60))


def test_a_checkpoint_lives_as_long_as_its_job_may_wait(ledger: Ledger) -> None:
    lease = claim(ledger, queue_ttl_ms=50_000)
    save(ledger, lease, b"saved")
    left_ms = ledger.client.pttl(f"{ledger.root}:checkpoint:{lease.ref}")
    assert 0 < left_ms <= 50_000


def test_what_had_its_time_is_not_charged_for(ledger: Ledger) -> None:
    lease = claim(ledger)
    save(ledger, lease, b"x" * BUDGET)
    ledger.client.delete(f"{ledger.root}:checkpoint:{lease.ref}")  # as Redis does in time
    assert save(ledger, lease, b"y" * BUDGET)


def test_the_next_worker_learns_how_far_the_last_one_came(ledger: Ledger) -> None:
    lease = claim(ledger)
    assert lease.record.reached == 0
    ledger.run(commands.report_progress([(lease, 3, 4)]))
    ledger.run(commands.release(lease))
    assert reclaim(ledger).record.reached == 3


def test_a_full_server_refuses_checkpoints_and_nothing_else_of_a_running_job(
    tmp_path, settings: Settings
) -> None:
    server = Valkey(tmp_path)
    server.start()
    url = type(settings.redis_url)(server.url)
    ledger = Ledger.open(settings.model_copy(update={"redis_url": url}))
    lease = claim(ledger)
    save(ledger, lease, b"before")
    ledger.client.config_set("maxmemory", 1)
    with pytest.raises(LedgerUnavailable):
        save(ledger, lease, b"after")
    assert read(ledger, lease) == {0: b"before"}
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    ledger.close()
    server.stop()
