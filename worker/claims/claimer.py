"""Claims jobs on a thread of its own, so that the step loop never waits for the ledger."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from latentry.errors import LedgerUnavailable
from latentry.ledger import Command, JobRef, Lease, Ledger, commands
from latentry.ledger.claiming import run_claim
from latentry.ledger.leases import Claims
from worker.claims.claimed_job import ClaimedJob
from worker.claims.idleness import Idleness
from worker.claims.inbox import Exchanged, Inbox
from worker.claims.listener import Listener
from worker.claims.offer import Background, Hint, Offer
from worker.claims.preemption import Preemption
from worker.claims.preparation.handover import Handover
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.process.exit_on_failure import critical_thread

log = structlog.get_logger()

POLL_S: Final = 1.0  # pub/sub may lose a message, so the queues are also polled


class Claimer:
    """Claims while there is room, and posts each job once its lease is renewed.

    `background`: queues of jobs that take no row, of which there is an offer of its own. `prepare`
    makes the pictures and adapters that a job names ready, on threads of `Handover`, and may raise
    StorageUnavailable or NoAdapterRoom.
    `on_idled` is told seconds in which a job waited that this worker had room for (`Idleness`).
    """

    def __init__(
        self,
        ledger: Ledger,
        inbox: Inbox,
        worker: str,
        queues: QueueChoice,
        reporter: Reporter,
        *,
        lease_s: float,
        background: Sequence[str] = (),
        prepare: Callable[[ClaimedJob], None] = lambda _: None,
        on_idled: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._worker = worker
        self.queues = queues
        self._background = Background(queues=background)
        self._reporter = reporter
        self._handover = Handover(inbox, reporter, prepare, self.hear, clock=clock)
        self._lease_s = lease_s
        self._clock = clock
        self._preemption = Preemption(
            ledger, worker, inbox, reporter.checkpoints, lease_s=lease_s, clock=clock
        )
        self._listener = Listener(ledger, inbox, self.hear)
        self._idleness = Idleness(on_idled, clock)
        self._offer = Offer()  # the step loop replaces it
        self._hint = Hint()
        self._look_at = math.inf  # when this worker may have jobs that it left to others
        self._unanswered: Command[Claims] | None = None
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = critical_thread("claimer", self._run)

    def start(self) -> None:
        """Begin to listen and to claim."""
        self._listener.start()
        self._thread.start()

    def stop(self) -> None:
        """Claim nothing more, and wait for both threads."""
        self._stopping.set()
        self.wake()
        self._listener.stop()  # first: the claiming thread ends meanwhile
        self._thread.join()
        self._handover.stop()

    def wake(self) -> None:
        """Try to claim now. From any thread."""
        self._wanted.set()

    def hear(self) -> None:
        """A job may have come. From any thread."""
        self._hint.may_find = self._background.may_find = True
        self.wake()

    def offer(self, offer: Offer) -> None:
        """The step loop's newest offer; the last one no longer counts."""
        self._offer = offer
        left = offer.left(self._handover.posted)
        self._idleness.offered(has_room=left.room > 0)
        has_background = left.background > 0 and self._background.may_find
        if has_background or (left.room > 0 and self._hint.may_find):
            self.wake()

    def wait(self, timeout_s: float) -> bool:
        """Block until there is something to try, or `timeout_s` is over; whether there is."""
        is_wanted = self._wanted.wait(timeout_s)
        self._wanted.clear()
        return is_wanted

    def exchange(self, job: ClaimedJob, urgent: JobRef) -> None:
        """Exchange a job, which the step loop has saved and paused, for an urgent one."""
        self._preemption.yielded(job, urgent)
        self.wake()

    def work(self) -> None:
        """Exchange what yielded, then claim more if there is room."""
        if self._clock() >= self._look_at:
            self._look_at, self._hint.may_find = math.inf, True
        self._idleness.look()
        for job, leases in self._preemption.exchange():
            self._accept(leases, goes_first=True)
            self._inbox.post(Exchanged(job))
        self._claim_more()
        self._idleness.looked()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.wait(min(POLL_S, max(0.0, self._look_at - self._clock())))
            if not self._stopping.is_set():
                self.work()

    def _claim_more(self) -> None:
        offer, jobs = self._offer, self._reporter.leases.jobs
        left = offer.left(self._handover.posted)
        if self._handover.is_paused or any(job.is_quarantined for job in jobs):
            return
        if self._background.is_due(left.background, self._clock()):
            self._take(self._background.queues, jobs, left.background, self._background)
            jobs = self._reporter.leases.jobs
            left = offer.left(self._handover.posted)
        if self._is_row_reserved(left.room, jobs, offer.next_free_row_s) or left.room < 1:
            return
        queues = self.queues.choose(self._clock())
        if not queues:  # no model of this worker loads for now
            return
        if not self._take(queues, jobs, left.room, self._hint) and self.queues.are_empty():
            self.hear()
        if self._hint.may_find and self._offer is not offer:  # which nobody was woken for
            self.wake()

    def _take(
        self, queues: Sequence[str], jobs: Sequence[ClaimedJob], room: int, hint: Hint
    ) -> bool:
        """Claim jobs and post them; whether more may wait."""
        # In the last place a job waits for a row, and cannot crash the worker until it has one.
        begins = room > 1 or not jobs
        hint.may_find = False  # before: a job that comes meanwhile says so
        leases = self._claim(queues, jobs, room=room, begins=begins)
        if leases.waiting:
            hint.may_find = True
        if leases.left_ms:
            self._look_at = min(self._look_at, self._clock() + leases.left_ms / 1000)
        if leases:
            if hint is self._hint:
                self._idleness.found(leases)
            self._accept(leases, begun=leases if begins else ())
        return hint.may_find

    def _claim(
        self, queues: Sequence[str], jobs: Sequence[ClaimedJob], *, room: int, begins: bool
    ) -> Claims:
        """The leases, if any, and how many more jobs wait."""
        # A claim without an answer may have claimed: repeated, it returns those leases. Otherwise
        # its jobs would count as begun by a worker that does not know of them.
        claim = self._unanswered or commands.claim(
            self._worker,
            queues,
            room=room,
            lease_s=self._lease_s,
            held=len(jobs),
            crashed=sum(job.has_crashed for job in jobs),
            begins=begins,
            is_full=self._handover.is_full,
        )
        self._unanswered = claim
        try:
            leases = run_claim(self._ledger, claim)
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", doing="claim", why=str(error))
            self._stopping.wait(POLL_S)
            self.hear()
            return Claims()
        self._unanswered = None
        return leases

    def _is_row_reserved(
        self, room: int, jobs: Sequence[ClaimedJob], next_free_row_s: float
    ) -> bool:
        """Whether the next row goes to an urgent job, so that nothing else is claimed for it.

        The ledger is queried when only the last place is left; when none is, once a second.
        """
        if room > 1 or (room < 1 and not self._preemption.is_due()):
            return False
        models = self.queues.resident
        is_full = self._handover.is_full
        return self._preemption.request_yields(
            jobs, models, next_free_row_s=next_free_row_s, is_full=is_full
        )

    def _accept(
        self,
        leases: Sequence[Lease],
        *,
        begun: Sequence[Lease] = (),
        goes_first: bool = False,
    ) -> None:
        """Renew the leases from now on, however long the rest takes; then post the jobs.

        `begun`: those that the ledger counts as begun already.
        """
        tracked, progress = self._reporter.leases, self._reporter.progress
        found = [ClaimedJob(lease, goes_first=goes_first) for lease in leases]
        # An urgent job may have been claimed before its exchange, which then returns it again.
        jobs = [job for job in found if job not in tracked]
        for job in jobs:
            log.info("job.claimed", job=job.lease.ref.id, fence=job.lease.fence)
            tracked.track(job)
        # A job that comes back may have killed its worker in its first step, before any report.
        begins = [job.lease for job in jobs if goes_first or job.lease.record.claims > 1]
        if unsaid := [lease for lease in begins if lease not in begun]:
            progress.mark_begun(unsaid)
        self._handover.take(jobs)
