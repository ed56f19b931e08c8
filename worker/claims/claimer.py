"""Keeps an inbox of claimed jobs, so that the step loop never waits for the ledger."""

import queue
import threading
import time
from collections.abc import Sequence

import structlog

from latentry.errors import LedgerUnavailable
from latentry.ledger import JobRef, Lease, Ledger, commands
from latentry.ledger.claiming import claimed
from latentry.ledger.signals import Signals, Stop
from worker.claims.claimed_job import ClaimedJob
from worker.claims.heartbeat import Outbox
from worker.claims.preemption import Preemption
from worker.claims.queue_choice import QueueChoice
from worker.process.exit_on_failure import critical_thread

log = structlog.get_logger()

LISTEN_S = 0.25  # a stop waits for it
LOOK_S = 1.0  # pub/sub forgets, so look at the lines this often anyway


class Claimer:
    """Two threads: one listens for calls, one claims while there is room."""

    def __init__(
        self, ledger: Ledger, worker: str, lines: QueueChoice, outbox: Outbox, *, lease_s: float
    ) -> None:
        self.inbox: queue.SimpleQueue[ClaimedJob] = queue.SimpleQueue()
        self.stops: queue.SimpleQueue[JobRef] = queue.SimpleQueue()
        self.preemption = Preemption(ledger, worker, outbox, lease_s=lease_s)
        self._ledger = ledger
        self._worker = worker
        self._lines = lines
        self._outbox = outbox
        self._lease_s = lease_s
        self._room = 0
        self._relief_s = 0.0
        self._look = threading.Event()
        self._arrived = threading.Event()
        self._ending = threading.Event()
        self._listener = critical_thread("listener", self._listen)
        self._claimer = critical_thread("feeder", self._claim)

    def start(self) -> None:
        """Begin to listen and to claim."""
        self._listener.start()
        self._claimer.start()

    def stop(self) -> None:
        """Claim nothing more; what is in the inbox by then stays there."""
        self._ending.set()
        self._look.set()
        self._claimer.join()
        self._listener.join()

    def wake(self) -> None:
        """End the step loop's wait."""
        self._arrived.set()

    def offer(self, room: int, *, next_free_row_s: float = 0.0) -> None:
        """The step loop has room for this many jobs, those in the inbox included.

        Without any, the next row comes free by itself in `next_free_row_s`.
        """
        self._relief_s = next_free_row_s
        self._room = room - self.inbox.qsize()
        if self._room > 0:
            self._look.set()

    def give_up(self, job: ClaimedJob, pressing: JobRef) -> None:
        """The step loop has saved this job and holds its rows for a pressing one."""
        self.preemption.given_up.put((job, pressing))
        self._look.set()

    def wait(self, timeout_s: float) -> None:
        """Until something arrives for the step loop, or the time is over."""
        self._arrived.wait(timeout_s)
        self._arrived.clear()

    def _listen(self) -> None:
        calls = Signals(self._ledger)
        while not self._ending.is_set():
            try:
                call = calls.wait(LISTEN_S)
            except LedgerUnavailable:
                self._ending.wait(LOOK_S)
                continue
            if isinstance(call, Stop):
                self.stops.put(call.ref)
                self._arrived.set()
            elif call is not None:
                self._look.set()
        calls.close()

    def _claim(self) -> None:
        while not self._ending.is_set():
            self._look.wait(LOOK_S)
            self._look.clear()
            if not self._ending.is_set():
                self._exchange()
                self._look_around()

    def _exchange(self) -> None:
        for leases in self.preemption.exchange():
            self._take(leases, goes_first=True)

    def _look_around(self) -> None:
        room, held = self._room, self._outbox.held
        if any(job.must_be_alone for job in held) or self._is_pressing(room, held) or room < 1:
            return
        lines = self._lines.choose(time.monotonic())
        if not lines:  # no model of ours loads for now
            return
        claim = commands.claim(
            self._worker,
            lines,
            room=room,
            lease_s=self._lease_s,
            held=len(held),
            suspects=sum(job.is_suspect for job in held),
        )
        try:
            leases = claimed(self._ledger, claim)
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", doing="claim", why=str(error))
            self._ending.wait(LOOK_S)
            return
        if leases:
            # With less room they may wait at the door, where they do no harm.
            self._take(leases, begins=room > 1 or not held)
        elif self._lines.were_empty():
            self._look.set()

    def _is_pressing(self, room: int, held: Sequence[ClaimedJob]) -> bool:
        """Whether a row comes free for somebody in a hurry, who must not wait at the door now.

        The last place is there. Without any, once a second is enough.
        """
        if room > 1 or (room < 1 and not self.preemption.is_due()):
            return False
        return self.preemption.ask(held, self._lines.here, next_free_row_s=self._relief_s)

    def _take(
        self, leases: Sequence[Lease], *, begins: bool = True, goes_first: bool = False
    ) -> None:
        found = [ClaimedJob(lease, goes_first=goes_first) for lease in leases]
        # What is exchanged for may have been claimed meanwhile, and is answered once more.
        jobs = [job for job in found if not self._outbox.holds(job)]
        for job in jobs:
            log.info("job.claimed", job=job.lease.ref.id, fence=job.lease.fence)
            self._outbox.hold(job)  # renewed from now on, however slowly checkpoints come
        # Who came back may have killed its worker in its first step: next time it is known.
        begun = [job.lease for job in jobs if begins or job.lease.record.claims > 1]
        if begun:
            self._say_begun(begun)
        for job in jobs:
            job.checkpoints = self._checkpoints(job.lease)
            self.inbox.put(job)
        self._room -= len(jobs)
        self._arrived.set()

    def _say_begun(self, leases: Sequence[Lease]) -> None:
        """Before the loop has them: a job that kills its worker at once is charged with it too."""
        begun = [
            (lease, lease.record.reached, lease.record.request.num_inference_steps)
            for lease in leases
        ]
        try:
            self._ledger.run(commands.progress(begun))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="begin", jobs=len(begun))

    def _checkpoints(self, lease: Lease) -> dict[int, bytes]:
        if lease.record.claims == 1:  # nobody had it before
            return {}
        try:
            return self._ledger.run(commands.checkpoints(lease))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="resume", job=lease.ref.id)
            return {}
