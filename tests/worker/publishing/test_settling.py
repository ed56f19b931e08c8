"""Images that end together are told to the ledger together."""

import threading
from collections.abc import Sequence

import pytest

from latentry.ledger import Command, Ledger, commands
from latentry.ledger.claiming import run_claim
from latentry.storage import Storage
from tests.latentry.ledger.factory import new_job
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox, JobEnded
from worker.metrics import Metrics
from worker.publishing.settling import EndedImage, Settling


def test_a_fault_of_ours_lets_go_of_every_job_that_was_told_together(
    ledger: Ledger, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ledger.run(commands.create(new_job(), max_queued=9))
    leases = run_claim(ledger, commands.claim("w1", ["shapes"], room=3, lease_s=60))
    first, *others = (EndedImage(ClaimedJob(lease), 0) for lease in leases)
    inbox = Inbox()
    settling = Settling(ledger, storage, Metrics(), inbox, threading.Event())
    told = []

    def run_all(batch: Sequence[Command[None]]) -> list[Exception | None]:
        told.append(len(batch))
        if len(told) == 1:  # they come while the first is told
            for image in others:
                settling.add(image)
        raise ValueError("a bug")

    monkeypatch.setattr(ledger, "run_all", run_all)
    settling.add(first)
    assert told == [1, 2]
    assert inbox.take() == [JobEnded(image.job) for image in (first, *others)]
