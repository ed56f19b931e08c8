"""What the outbox says, and in which order."""

import itertools
from typing import TypeVar

import pytest

from latentry.ledger import Command, Ledger, commands
from tests.latentry.ledger.factory import card, new_job
from worker.claims.claimed_job import ClaimedJob
from worker.claims.claimer import Claimer
from worker.claims.heartbeat import Outbox
from worker.claims.queue_choice import QueueChoice
from worker.engine.loop import Saved

T = TypeVar("T")


class Overheard:
    """A ledger whose commands can be read afterwards."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.said: list[str] = []

    def run(self, command: Command[T]) -> T:
        self.said.append(command.script)
        return self._ledger.run(command)


def claimed(ledger: Ledger, new: int) -> list[ClaimedJob]:
    for _ in range(new):
        ledger.run(commands.create(new_job(), max_queued=9))
    leases = ledger.run(commands.claim("w1", ["shapes"], room=9, lease_s=5))
    return [ClaimedJob(lease) for lease in leases]


def test_leases_are_renewed_between_checkpoints(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Overheard(ledger)
    hours = itertools.count(step=3600)  # every message takes an hour
    monkeypatch.setattr("worker.claims.heartbeat.time.monotonic", lambda: float(next(hours)))
    outbox = Outbox(
        told,  # type: ignore[arg-type]
        "w1",
        [card()],
        lease_s=5,
        heartbeat_s=5,
        checkpoint_bytes=99,
    )
    for job in claimed(ledger, 3):
        outbox.hold(job)
        outbox.save(job, [Saved(job.id, 0, 1, b"1")])
    outbox.flush()
    heard = [script for script in told.said if script in {"renew", "save_checkpoint"}]
    assert heard == ["renew", "save_checkpoint"] * 3


def test_all_leases_of_a_claim_are_renewed_before_any_checkpoint_is_read(ledger: Ledger) -> None:
    for job in claimed(ledger, 2):
        ledger.run(commands.release(job.lease))  # somebody had them before
    held: list[int] = []

    class Slow(Overheard):
        def run(self, command: Command[T]) -> T:
            if command.script == "list_checkpoints":
                held.append(sum(map(outbox.holds, jobs)))
            return super().run(command)

    outbox = Outbox(ledger, "w1", [card()], lease_s=5, heartbeat_s=5)
    lines = QueueChoice(["shapes"], tuple)
    feeder = Claimer(Slow(ledger), "w1", lines, outbox, lease_s=5)  # type: ignore[arg-type]
    jobs = claimed(ledger, 0)
    feeder._take([job.lease for job in jobs])
    assert held == [2, 2]
    assert feeder.inbox.qsize() == 2
