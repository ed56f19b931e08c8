"""What the reporting thread sends, and in which order."""

import itertools
from typing import TypeVar

import pytest

from latentry.ledger import Command, JobRef, Ledger, commands
from tests.latentry.ledger.factory import card, new_job
from worker.claims.claimed_job import ClaimedJob
from worker.claims.claimer import Claimer, Offer
from worker.claims.inbox import Inbox
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.engine.loop import Saved

T = TypeVar("T")


class Recording:
    """A ledger whose commands can be read afterwards."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.scripts: list[str] = []

    def run(self, command: Command[T]) -> T:
        self.scripts.append(command.script)
        return self._ledger.run(command)


def claimed(ledger: Ledger, new: int) -> list[ClaimedJob]:
    for _ in range(new):
        ledger.run(commands.create(new_job(), max_queued=9))
    leases = ledger.run(commands.claim("w1", ["shapes"], room=9, lease_s=5))
    return [ClaimedJob(lease) for lease in leases]


def test_leases_are_renewed_between_checkpoints(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(ledger)
    hours = itertools.count(step=3600)  # every message takes an hour
    monkeypatch.setattr("worker.claims.reporter.time.monotonic", lambda: float(next(hours)))
    reporter = Reporter(
        recording,  # type: ignore[arg-type]
        Inbox(),
        "w1",
        [card()],
        lease_s=5,
        heartbeat_s=5,
        checkpoint_bytes=99,
    )
    for job in claimed(ledger, 3):
        reporter.leases.track(job)
        reporter.checkpoints.save(job, [Saved(job.id, 0, 1, b"1")])
    reporter.checkpoints.flush()
    sent = [
        script
        for script in recording.scripts
        if script in {"worker/renew", "worker/save_checkpoint"}
    ]
    assert sent == ["worker/renew", "worker/save_checkpoint"] * 3


def test_all_leases_of_a_claim_are_renewed_before_any_checkpoint_is_read(ledger: Ledger) -> None:
    leases = [job.lease for job in claimed(ledger, 2)]
    for lease in leases:
        ledger.run(commands.release(lease))  # another worker had them before
    refs = [lease.ref for lease in leases]
    tracked: list[list[JobRef]] = []

    class Slow(Recording):
        def run(self, command: Command[T]) -> T:
            if command.script == "worker/list_checkpoints":
                tracked.append([job.lease.ref for job in reporter.leases.jobs])
            return super().run(command)

    inbox, slow = Inbox(), Slow(ledger)
    reporter = Reporter(slow, inbox, "w1", [card()], lease_s=5, heartbeat_s=5)  # type: ignore[arg-type]
    queues = QueueChoice(["shapes"], tuple)
    claimer = Claimer(slow, inbox, "w1", queues, reporter, lease_s=5)  # type: ignore[arg-type]
    claimer.offer(Offer(room=2))
    claimer.work()
    assert tracked == [refs, refs]
    assert [message.job.lease.ref for message in inbox.take()] == refs
