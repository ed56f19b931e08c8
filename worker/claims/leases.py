"""The leases of this worker's jobs, renewed until a job has ended or was lost."""

import threading
from enum import StrEnum

import structlog

from latentry.errors import LedgerUnavailable
from latentry.ledger import Ledger, commands
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox, LeaseLost, StopAsked

log = structlog.get_logger()


class LeaseVerdict(StrEnum):
    """What the ledger answers to a renewal."""

    HELD = "held"
    STOP = "stop"  # renewed, but the job is to stop
    LOST = "lost"


class Leases:
    """Which jobs this worker has: before the engine, in it, and while they are published.

    The claiming thread adds, the step loop removes, both and the reporting thread read.
    """

    def __init__(self, ledger: Ledger, inbox: Inbox, *, lease_s: float) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._lease_s = lease_s
        self._tracked: dict[str, ClaimedJob] = {}
        self._lock = threading.Lock()

    def __contains__(self, job: ClaimedJob) -> bool:
        """Whether the job's lease is renewed."""
        with self._lock:
            return job.id in self._tracked

    @property
    def jobs(self) -> list[ClaimedJob]:
        """The jobs whose leases are renewed."""
        with self._lock:
            return list(self._tracked.values())

    def track(self, job: ClaimedJob) -> None:
        """Renew this job's lease from now on."""
        with self._lock:
            self._tracked[job.id] = job

    def forget(self, job: ClaimedJob) -> None:
        """Renew it no more: the job has ended, or another worker has it."""
        with self._lock:
            self._tracked.pop(job.id, None)

    def renew(self) -> None:
        """Renew all leases, and post jobs that are lost or to stop. Raises LedgerUnavailable."""
        jobs = self.jobs
        if not jobs:
            return
        leases = [job.lease for job in jobs]
        answers = self._ledger.run(commands.renew(leases, lease_s=self._lease_s))
        for job, answer in zip(jobs, answers, strict=True):
            match LeaseVerdict(answer):
                case LeaseVerdict.LOST:
                    self._inbox.post(LeaseLost(job))
                case LeaseVerdict.STOP:
                    self._inbox.post(StopAsked(job.lease.ref))

    def release(self, job: ClaimedJob) -> None:
        """Put an unfinished job back into its queue, at its old place.

        If the ledger cannot be reached, the job returns when its lease expires.
        """
        try:
            self._ledger.run(commands.release(job.lease))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="release", job=job.lease.ref.id)
