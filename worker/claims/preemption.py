"""Gives rows of a tenant's running jobs to the same tenant's urgent job (docs/decisions/0019)."""

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog

from latentry.errors import LedgerUnavailable
from latentry.ledger import JobRef, Lease, Ledger, commands
from worker.claims.checkpoints import Checkpoints
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox, YieldWanted

log = structlog.get_logger()

QUERY_S: Final = 1.0
# How long before an urgent job's latest start a row is freed: the query may come `QUERY_S` late,
# and saving takes a while.
AHEAD_S: Final = QUERY_S + 0.5


class Preemption:
    """Three steps on two threads.

    The claiming thread queries which jobs should yield (`request_yields`); the step loop saves and
    pauses them (`yielded`); the claiming thread exchanges each for its urgent job (`exchange`).
    """

    def __init__(
        self,
        ledger: Ledger,
        worker: str,
        inbox: Inbox,
        checkpoints: Checkpoints,
        *,
        lease_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._inbox = inbox
        self._checkpoints = checkpoints
        self._lease_s = lease_s
        self._clock = clock
        self._yielded: queue.SimpleQueue[tuple[ClaimedJob, JobRef]] = queue.SimpleQueue()
        self._query_at = 0.0

    def is_due(self) -> bool:
        """Whether the last query is a second old."""
        return self._clock() >= self._query_at

    def request_yields(
        self,
        jobs: Sequence[ClaimedJob],
        models: Sequence[str],
        *,
        next_free_row_s: float,
        is_full: bool = False,
    ) -> bool:
        """Post YieldWanted for the rows that urgent jobs of `models` need; whether any was posted.

        Without that, the next row comes free in `next_free_row_s` seconds. `is_full`: no job yields
        to one that needs adapters which are not in memory.
        """
        may_yield = [job for job in jobs if job.may_yield]
        if not may_yield:
            return False
        self._query_at = self._clock() + QUERY_S
        may_yield.sort(key=lambda job: job.steps_left, reverse=True)
        within_s = next_free_row_s + AHEAD_S
        leases = [job.lease for job in may_yield]
        query = commands.find_urgent(
            self._worker, models, within_s=within_s, held=leases, is_full=is_full
        )
        try:
            urgent = self._ledger.run(query)
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", doing="preemption", why=str(error))
            return False
        for job in may_yield:
            if job.lease.ref in urgent:
                self._inbox.post(YieldWanted(job, urgent[job.lease.ref]))
        return bool(urgent)

    def yielded(self, job: ClaimedJob, urgent: JobRef) -> None:
        """The job is saved and paused; its rows wait for the urgent one. From the step loop."""
        self._yielded.put((job, urgent))

    def exchange(self) -> Iterator[tuple[ClaimedJob, list[Lease]]]:
        """Hand back each job that yielded; with it, the lease of the job that it yielded to.

        There is no lease if that job no longer waits.
        """
        while not self._yielded.empty():
            job, urgent = self._yielded.get()
            self._checkpoints.flush()  # while the lease is still valid
            exchange = commands.exchange(
                job.lease, urgent, worker=self._worker, lease_s=self._lease_s
            )
            try:
                leases = self._ledger.run(exchange)
            except LedgerUnavailable as error:
                log.warning("ledger.unavailable", doing="exchange", why=str(error))
                self._yielded.put((job, urgent))  # its lease is still renewed: try again later
                return
            log.info("job.preempted", job=job.lease.ref.id, by=urgent.id)
            yield job, leases
