"""How long a job waited for a worker that had room."""

from dataclasses import replace

import pytest

from latentry.contracts import JobStatus
from latentry.ledger import JobRecord, JobRef, Lease
from tests.latentry.ledger.factory import request
from worker.claims.idleness import SIGNAL_S, Idleness


class Watched:
    """An idleness on a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counted: list[float] = []
        self.idleness = Idleness(self.counted.append, lambda: self.now)


@pytest.fixture
def watched() -> Watched:
    made = Watched()
    made.idleness.looked()
    made.idleness.offered(has_room=True)
    made.now += 2.0
    made.idleness.look()
    made.now += 5.0  # until the ledger answers
    return made


def lease(waited_s: float, *, claims: int = 1) -> Lease:
    ref = JobRef("default", "gen_1")
    record = JobRecord(ref, JobStatus.RUNNING, request(), 1, created_ms=1_000, claims=claims)
    return Lease(ref, 1, replace(record, started_ms=1_000 + int(waited_s * 1000)))


def test_a_job_that_waited_beside_a_free_row_counts_for_as_long_as_both_lasted(
    watched: Watched,
) -> None:
    watched.idleness.found([lease(0.5), lease(1.5)])
    watched.idleness.found([lease(30)])
    assert watched.counted == [1.5, 2.0]


def test_a_signal_may_take_its_time(watched: Watched) -> None:
    watched.idleness.found([lease(SIGNAL_S)])
    assert watched.counted == []


@pytest.mark.parametrize("what", ["full", "looked", "came back"])
def test_a_worker_that_was_full_or_looked_has_not_idled(watched: Watched, what: str) -> None:
    if what == "full":
        watched.idleness.offered(has_room=False)
        watched.idleness.offered(has_room=True)
    if what == "looked":
        watched.idleness.looked()
    watched.idleness.look()
    watched.idleness.found([lease(5, claims=2 if what == "came back" else 1)])
    assert watched.counted == []
