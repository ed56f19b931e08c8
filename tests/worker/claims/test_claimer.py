"""What the claiming thread takes, by what the step loop offers."""

from typing import Any

import pytest

from latentry.errors import LedgerUnavailable
from latentry.ledger import Command, JobRef, Ledger, commands
from tests.latentry.ledger.factory import card, new_job
from worker.claims.claimer import Claimer, Offer
from worker.claims.inbox import Claimed, Inbox
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter


def taken(inbox: Inbox) -> list[JobRef]:
    return [message.job.lease.ref for message in inbox.take() if isinstance(message, Claimed)]


def test_jobs_that_the_loop_has_not_received_yet_take_room(ledger: Ledger) -> None:
    refs = [ledger.run(commands.create(new_job(), max_queued=9)).ref for _ in range(4)]
    inbox, queues = Inbox(), QueueChoice(["shapes"], tuple)
    reporter = Reporter(ledger, inbox, "w1", [card()], lease_s=60, heartbeat_s=5)
    claimer = Claimer(ledger, inbox, "w1", queues, reporter, lease_s=60)
    claimer.offer(Offer(room=2))
    claimer.work()
    claimer.work()
    claimer.offer(Offer(room=2))  # made before anything was received
    claimer.work()
    assert taken(inbox) == refs[:2]
    claimer.offer(Offer(room=1, received=2))
    claimer.work()
    claimer.work()
    assert taken(inbox) == refs[2:3]
    claimer.offer(Offer(room=0, received=3))
    claimer.work()
    assert taken(inbox) == []


class AnswerLost(Ledger):
    """Its first claim is carried out, and the answer lost."""

    is_lost = False

    def run(self, command: Command[Any]) -> Any:
        answer = super().run(command)
        if command.script == "worker/claim" and not self.is_lost:
            self.is_lost = True
            raise LedgerUnavailable
        return answer


def test_a_claim_whose_answer_was_lost_is_made_again_and_no_other(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.claims.claimer.POLL_S", 0)
    refs = [ledger.run(commands.create(new_job(), max_queued=9)).ref for _ in range(2)]
    losing = AnswerLost(ledger.client, ledger.root)
    inbox, queues = Inbox(), QueueChoice(["shapes"], tuple)
    reporter = Reporter(losing, inbox, "w1", [card()], lease_s=60, heartbeat_s=5)
    claimer = Claimer(losing, inbox, "w1", queues, reporter, lease_s=60)
    claimer.offer(Offer(room=2))
    claimer.work()
    assert taken(inbox) == []
    claimer.work()
    assert taken(inbox) == refs
