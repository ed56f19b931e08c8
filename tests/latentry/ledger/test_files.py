"""A job pins its files, however it ends."""

from collections.abc import Callable

import pytest

from latentry.contracts import InputFile, JobStatus
from latentry.errors import FileGone
from latentry.ledger import JobRef, Ledger, commands, files
from tests.latentry.ledger.factory import new_job, request

FILE = files.FileRef("default", "file_" + "1" * 32)
NAMED = InputFile(file=FILE.id, pixel_sha256="0" * 64, width=1, height=1)


def job(ledger: Ledger) -> JobRef:
    new = files.NewFile(FILE, 1, "0" * 64, 1, 1)
    ledger.run(files.keep(new, ttl_ms=60_000, max_files=9, max_bytes=9))
    wanted = new_job(request=request(image=NAMED, mask=NAMED))
    return ledger.run(commands.create(wanted, max_queued=9)).ref


def settle(ledger: Ledger, ref: JobRef) -> None:
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))


def expire(ledger: Ledger, ref: JobRef) -> None:
    ledger.client.hset(f"{ledger.root}:job:{ref}", "deadline_ms", 1)
    ledger.client.zadd(f"{ledger.root}:deadlines", {str(ref): 1})
    ledger.run(commands.sweep(lease_s=60))


def become_unreadable(ledger: Ledger, ref: JobRef) -> None:
    ledger.client.hdel(f"{ledger.root}:job:{ref}", "cost_ms")
    expire(ledger, ref)


ENDS: dict[str, Callable[[Ledger, JobRef], object]] = {
    "succeeded": settle,
    "canceled": lambda ledger, ref: ledger.run(commands.cancel(ref)),
    "forgotten": lambda ledger, ref: ledger.run(commands.forget(ref)),
    "expired": expire,
    "unreadable": become_unreadable,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_deleted_file_is_due_when_the_last_job_that_pins_it_has_ended(
    ledger: Ledger, end: str
) -> None:
    ref = job(ledger)
    assert not ledger.run(files.delete(FILE)), "it may not be removed yet"
    assert ledger.run(files.take_due(9)) == []
    assert ledger.run(files.exists(FILE))
    ENDS[end](ledger, ref)
    assert ledger.run(files.take_due(9)) == [FILE]
    assert ledger.run(files.take_due(9)) == [], "one gateway removes it"


def test_a_running_job_that_comes_back_still_pins(ledger: Ledger) -> None:
    job(ledger)
    ledger.run(files.delete(FILE))
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    ledger.run(commands.release(lease))
    assert ledger.run(files.take_due(9)) == []


def test_a_dry_run_pins_nothing(ledger: Ledger) -> None:
    ended = job(ledger)
    ledger.run(commands.cancel(ended))
    wanted = new_job(request=request(image=NAMED))
    ledger.run(commands.estimate(wanted, max_queued=9))
    assert ledger.run(commands.find_or_check(wanted, max_queued=9)) is None
    assert not ledger.client.exists(f"{ledger.root}:pins:{FILE}")
    assert ledger.run(files.delete(FILE)), "nobody needs it"
    for refuses in (commands.estimate, commands.find_or_check, commands.create):
        with pytest.raises(FileGone) as refused:
            ledger.run(refuses(wanted, max_queued=9))
        assert refused.value.fields.keys() == {"/image"}


def test_a_tenants_files_are_listed_until_they_go(ledger: Ledger) -> None:
    def keep(name: str, tenant: str = "default", ttl_ms: int = 60_000) -> files.FileRef:
        ref = files.FileRef(tenant, f"file_{name * 32}")
        new = files.NewFile(ref, 1, "0" * 64, 1, 1)
        ledger.run(files.keep(new, ttl_ms=ttl_ms, max_files=9, max_bytes=9))
        return ref

    first, second = keep("1", ttl_ms=60_000), keep("2", ttl_ms=90_000)
    keep("3", tenant="other")
    keep("4", ttl_ms=0)  # it has expired already

    def listed(limit: int = 9) -> list[files.FileRef]:
        return [record.ref for record in ledger.run(files.list_files("default", limit))]

    assert listed() == [second, first]
    assert listed(1) == [second]
    ledger.run(files.delete(second))
    assert listed() == [first]
