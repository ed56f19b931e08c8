"""A tenant's high job that would start too late gets a row of the same tenant's other work."""

import queue
import time
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from latentry.errors import LedgerUnavailable
from latentry.ledger import JobRef, Lease, Ledger, commands
from worker.claims.claimed_job import ClaimedJob
from worker.claims.heartbeat import Outbox

log = structlog.get_logger()

ASK_S: Final = 1.0
# So long before the last moment we act: we may ask too late by `ASK_S`, and saving takes a while.
AHEAD_S: Final = ASK_S + 0.5

Exchange = tuple[ClaimedJob, JobRef]  # the job that yields, and the pressing one


class Preemption:
    """Between two threads: the feeder asks who is in a hurry, the step loop gives up a job and
    holds its rows, the feeder exchanges it for the other.

    What was exchanged is told after the other is in the inbox: whoever reads it first finds both.
    """

    def __init__(self, ledger: Ledger, worker: str, outbox: Outbox, *, lease_s: float) -> None:
        self.wanted: queue.SimpleQueue[Exchange] = queue.SimpleQueue()
        self.given_up: queue.SimpleQueue[Exchange] = queue.SimpleQueue()
        self.exchanged: queue.SimpleQueue[ClaimedJob] = queue.SimpleQueue()
        self._ledger = ledger
        self._worker = worker
        self._outbox = outbox
        self._lease_s = lease_s
        self._ask_at = 0.0

    def is_due(self) -> bool:
        """Whether a second has gone by since it was asked last."""
        return time.monotonic() >= self._ask_at

    def ask(
        self, held: Sequence[ClaimedJob], models: Sequence[str], *, next_free_row_s: float
    ) -> bool:
        """Whether somebody is to yield; the next row comes free by itself in `next_free_row_s`."""
        may_yield = [job for job in held if job.may_yield]
        if not may_yield:
            return False
        self._ask_at = time.monotonic() + ASK_S
        may_yield.sort(key=lambda job: job.steps_left, reverse=True)
        within_s = next_free_row_s + AHEAD_S
        leases = [job.lease for job in may_yield]
        ask = commands.urgent(self._worker, models, within_s=within_s, held=leases)
        try:
            pressing = self._ledger.run(ask)
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", doing="pressing", why=str(error))
            return False
        for job in may_yield:
            if job.lease.ref in pressing:
                self.wanted.put((job, pressing[job.lease.ref]))
        return bool(pressing)

    def exchange(self) -> Iterator[list[Lease]]:
        """Hand back what the step loop gave up, all of it being saved, for what is pressing."""
        while not self.given_up.empty():
            job, pressing = self.given_up.get()
            self._outbox.flush()
            exchange = commands.exchange(
                job.lease, pressing, worker=self._worker, lease_s=self._lease_s
            )
            try:
                leases = self._ledger.run(exchange)
            except LedgerUnavailable as error:
                log.warning("ledger.unavailable", doing="exchange", why=str(error))
                self.given_up.put((job, pressing))  # still ours, and renewed: asked for again
                return
            log.info("job.preempted", job=job.lease.ref.id, by=pressing.id)
            yield leases
            self.exchanged.put(job)
