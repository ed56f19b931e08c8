"""Each call of a job's life fails once: not sent, reply lost, run twice. The job still ends."""

import itertools
from typing import Any

import pytest

from latentry.contracts import JobStatus
from latentry.errors import LedgerUnavailable
from latentry.ledger import Command, JobRef, Ledger, commands
from tests.latentry.ledger.audit import audit
from tests.latentry.ledger.factory import image, new_job

CALLS = 7  # of an undisturbed life


class Unlucky(Ledger):
    """A ledger whose call number `unlucky` goes wrong."""

    def __init__(self, ledger: Ledger, unlucky: int, runs: int, *, is_heard: bool) -> None:
        super().__init__(ledger.client, ledger.root)
        self.calls = itertools.count(1)
        self.unlucky = unlucky
        self.runs = runs
        self.is_heard = is_heard

    def run(self, command: Command[Any]) -> Any:
        if next(self.calls) != self.unlucky:
            return super().run(command)
        answers = [super(Unlucky, self).run(command) for _ in range(self.runs)]
        if not self.is_heard:
            raise LedgerUnavailable
        return answers[-1]


@pytest.mark.parametrize("unlucky", range(CALLS + 1))  # the first: none
@pytest.mark.parametrize(("runs", "is_heard"), [(0, False), (1, False), (2, True), (2, False)])
def test_no_lost_call_loses_a_job_or_ends_it_twice(
    ledger: Ledger, unlucky: int, runs: int, is_heard: bool
) -> None:
    unlucky_ledger = Unlucky(ledger, unlucky, runs, is_heard=is_heard)
    ref = live(unlucky_ledger)
    [entry] = audit(ledger).values()
    assert entry.state is JobStatus.SUCCEEDED
    assert (entry.images, entry.deaths) == ({0}, 0)
    assert next(unlucky_ledger.calls) > CALLS
    assert ledger.run(commands.get(ref)) is not None


def live(ledger: Ledger) -> JobRef:
    """A client and a worker that try again what they did not hear the answer of."""
    job = new_job(key="k", hash="h")
    insist(ledger, commands.create(job, max_queued=9))
    released = False
    while True:
        leases = insist(ledger, commands.claim("w", ["shapes"], room=1, lease_s=60))
        for lease in leases:
            if not released:
                insist(ledger, commands.release(lease))
                released = True
                continue
            insist(ledger, commands.report_progress([(lease, 1, 4)]))
            insist(ledger, commands.add_output(lease, image()))
            insist(ledger, commands.settle(lease, JobStatus.SUCCEEDED))
            return job.ref
        # Claimed by a call whose answer was lost: the lease has to run out.
        ledger.client.zadd(f"{ledger.root}:leases", {str(job.ref): 0}, xx=True)
        Ledger(ledger.client, ledger.root).run(commands.sweep(lease_s=60))


def insist(ledger: Ledger, command: Command[Any]) -> Any:
    try:
        return ledger.run(command)
    except LedgerUnavailable:
        return ledger.run(command)
