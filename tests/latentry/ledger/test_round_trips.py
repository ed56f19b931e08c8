"""Several commands in one round trip: each has its own answer or error."""

import pytest

from latentry.contracts import JobStatus, JobWarning
from latentry.errors import LeaseLost, LedgerUnavailable
from latentry.ledger import JobRef, Ledger, commands
from latentry.settings import Settings
from tests.latentry.ledger.factory import image, new_job


def create(ledger: Ledger) -> JobRef:
    return ledger.run(commands.create(new_job(), max_queued=100)).ref


def test_one_that_fails_leaves_the_others_as_they_are(ledger: Ledger) -> None:
    refs = [create(ledger) for _ in range(3)]
    leases = ledger.run(commands.claim("w", ["shapes"], room=3, lease_s=60))
    ledger.run(commands.release(leases[1]))
    ends = [commands.settle(lease, JobStatus.SUCCEEDED) for lease in leases]
    first, lost, last = ledger.run_all(ends)
    assert isinstance(lost, LeaseLost)
    assert (first, last) == (None, None)
    records = [ledger.run(commands.get(ref)) for ref in refs]
    states = [record.state for record in records if record]
    assert states == [JobStatus.SUCCEEDED, JobStatus.QUEUED, JobStatus.SUCCEEDED]


def test_they_run_on_a_server_that_does_not_know_their_scripts_yet(ledger: Ledger) -> None:
    ref = create(ledger)
    leases = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    ledger.client.script_flush()
    assert ledger.run_all([commands.release(lease) for lease in leases]) == [True]
    record = ledger.run(commands.get(ref))
    assert record is not None
    assert record.state is JobStatus.QUEUED


def test_a_server_that_knows_only_the_last_script_lists_all_and_ends_the_job(
    ledger: Ledger,
) -> None:
    refs = [create(ledger) for _ in range(2)]
    other, lease = ledger.run(commands.claim("w", ["shapes"], room=2, lease_s=60))
    ledger.client.script_flush()
    ledger.run(commands.settle(other, JobStatus.SUCCEEDED))
    warning = JobWarning(code="c", message="m")
    told = [
        commands.add_output(lease, image(0)),
        commands.settle(lease, JobStatus.SUCCEEDED, None, [image(0)], [warning]),
    ]
    assert ledger.run_all(told) == [None, None]
    record = ledger.run(commands.get(refs[1]))
    assert record is not None
    assert (record.state, record.images) == (JobStatus.SUCCEEDED, (image(0),))
    assert record.warnings == (warning,)


def test_a_server_that_is_away_answers_none_of_them(ledger: Ledger, settings: Settings) -> None:
    create(ledger)
    leases = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    away = Ledger.open(
        Settings.from_env(settings.to_env() | {"LATENTRY_REDIS_URL": "redis://127.0.0.1:1"})
    )
    with pytest.raises(LedgerUnavailable):
        away.run_all([commands.release(lease) for lease in leases])
    away.close()


def test_nothing_to_run_is_no_round_trip(ledger: Ledger) -> None:
    assert ledger.run_all([]) == []
