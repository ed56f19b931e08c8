"""The one loop of a worker: claimed jobs in, everybody's next step, finished pictures out."""

import queue
import threading
from collections.abc import Callable
from operator import itemgetter
from time import monotonic
from typing import Any

import structlog

from latentry.contracts import JobStatus
from latentry.errors import LatentryError, LedgerUnavailable, ModelNotLoaded
from latentry.ledger import JobRef, Ledger, commands
from latentry.storage import Storage
from worker.claims.claimed_job import ClaimedJob, Verdict
from worker.claims.claimer import Claimer
from worker.claims.heartbeat import Outbox
from worker.engine.loop import Canceled, Done, Engine, Event, Failed, Joined, Preview, Step
from worker.inbox import all_of
from worker.metrics import Metrics
from worker.process.keepalive import Keepalive
from worker.publishing.publisher import Publisher

log = structlog.get_logger()

IDLE_S = 1.0
HELD_S = 0.02
HUNG_S = 20.0  # a step this long is suspicious, unless it is usual here
LOADING_S = 300.0  # a model is converted and proved between two steps
LEAVE_S = 30.0  # to hand back and be gone; a parent that asked for it waits for less
MOST_SAVED = 4  # images at one step: each of them waits for the device
PRICE_S = 5.0  # what pictures cost is told so often
PATIENCE = 10  # times the longest step so far
CANCELED = Verdict(JobStatus.CANCELED)


class WorkerLoop:
    """Steps until it is told to stop, then hands back what is unfinished.

    All calls into the engine come from the thread that runs `run`.
    """

    def __init__(
        self,
        *,
        engine: Engine[Any],
        ledger: Ledger,
        feeder: Claimer,
        outbox: Outbox,
        storage: Storage,
        metrics: Metrics,
        keepalive: Keepalive,
        test_s: Callable[[], float],
        checkpoint_s: float = 2.0,
        on_studied: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._feeder = feeder
        self._outbox = outbox
        self._ended: queue.SimpleQueue[ClaimedJob] = queue.SimpleQueue()
        self._publisher = Publisher(ledger, storage, metrics, on_end=self._ended.put)
        self._metrics = metrics
        self._pulse = keepalive
        self._test_s = test_s  # the longest self-test so far: models come while we run
        self._longest_s = 0.0
        self._checkpoint_s = checkpoint_s
        self._on_studied = on_studied
        self._has_studied = False
        self._price_at = 0.0
        self._jobs: dict[str, ClaimedJob] = {}
        self._stop = threading.Event()

    def stop(self) -> None:
        """Hand everything back at the next step boundary. From any thread."""
        self._stop.set()
        self._feeder.wake()

    def run(self) -> None:
        """Until stopped: take in, step, pass on."""
        self._feeder.start()
        while not self._stop.is_set():
            self._take_in()
            self._price()
            if self._engine.idle:
                self._rest()
                continue
            self._promise()
            events = self._engine.step()
            pace = self._engine.pace
            self._longest_s = max(self._longest_s, pace.total_s)
            self._metrics.stepped(pace)
            for event in events:
                self._pass_on(event)
            self._save()
            if not (events or pace.rows):  # all rows are held for somebody who is on his way
                self._feeder.wait(HELD_S)
        self._hand_back()

    def _rest(self) -> None:
        """Learn what calls cost while there is nothing to do, else wait for something."""
        self._promise()
        if self._engine.calibrate():
            self._has_studied = True
            return
        if self._has_studied:
            self._has_studied = False
            self._on_studied()
        self._pulse.extend(0)
        self._feeder.wait(IDLE_S)

    def _promise(self) -> None:
        usual_s = PATIENCE * max(self._longest_s, self._test_s())
        self._pulse.extend(max(LOADING_S if self._engine.is_loading else HUNG_S, usual_s))

    def _price(self) -> None:
        """Tell what pictures cost here: whoever admits orders counts on it."""
        if monotonic() >= self._price_at:
            self._price_at = monotonic() + PRICE_S
            self._outbox.price(self._engine.paces())

    def _take_in(self) -> None:
        for job in all_of(self._feeder.preemption.exchanged):
            self._let_go(job)
        for job in all_of(self._feeder.inbox):
            self._begin(job)
        self._hear_of_ends()
        for job, pressing in all_of(self._feeder.preemption.wanted):
            self._give_up(job, pressing)
        # Pictures that storage has not taken yet count too: else a slow bucket fills the memory.
        room = self._engine.room - self._publisher.pending
        self._feeder.offer(room, next_free_row_s=self._engine.next_free_row_s)

    def _hear_of_ends(self) -> None:
        for ref in all_of(self._feeder.stops):
            for job in [job for job in self._jobs.values() if job.lease.ref == ref]:
                self._end_early(job, CANCELED)
        for job, notice in all_of(self._outbox.notices):
            if notice == "lost":
                self._let_go(job)
            else:
                self._end_early(job, CANCELED)
        for job in all_of(self._ended):
            self._let_go(job)

    def _give_up(self, job: ClaimedJob, pressing: JobRef) -> None:
        """Save this job, and hold its rows for a pressing one of its tenant."""
        if self._jobs.get(job.id) is not job or not job.may_yield:
            return
        if self._outbox.keeps_checkpoints:
            self._outbox.save(job, self._engine.save(job.id))
        job.is_yielding = True
        self._engine.pause(job.id)
        self._feeder.give_up(job, pressing)

    def _begin(self, job: ClaimedJob) -> None:
        if not self._outbox.holds(job):  # lost before it came here
            return
        self._jobs[job.id] = job
        for order in job.orders:
            self._engine.submit(order, goes_first=job.goes_first)
        if job.is_over:  # its last worker died between the last picture and the end
            self._publisher.close(job, 0)

    def _pass_on(self, event: Event) -> None:
        job = self._jobs.get(event.job)
        if job is None:  # let go since
            return
        match event:
            case Joined(index=index, warnings=warnings, step=step):
                job.warn(warnings)
                job.step(index, step)
                self._metrics.joined(step, job.lease.record.reached)
            case Step(index=index, step=step, steps=steps):
                self._outbox.tell(job, job.step(index, step), steps)
                job.unsaved_since = job.unsaved_since or monotonic()
            case Preview():
                self._outbox.show(job, event)
            case _:
                self._leave(job, event)

    def _leave(self, job: ClaimedJob, event: Done | Failed | Canceled) -> None:
        """The engine is done with an image."""
        job.leave_engine(event.index)
        match event:
            case Done(index=index, pixels=pixels, profile=profile):
                self._publisher.submit(job, index, pixels, profile)
            case Failed(error=ModelNotLoaded()):  # another worker may have it
                self._let_go(job)
                self._release(job)
            case Failed(index=index, error=error):
                self._fail(job, index, error)
            case Canceled(index=index):
                self._publisher.close(job, index)

    def _fail(self, job: ClaimedJob, index: int, error: LatentryError) -> None:
        """One failed image fails the job; those already finished stay listed."""
        self._end_early(job, Verdict(JobStatus.FAILED, error))
        self._publisher.close(job, index)

    def _end_early(self, job: ClaimedJob, verdict: Verdict) -> None:
        job.decide(verdict)
        self._engine.drop(job.id)  # Canceled events follow

    def _let_go(self, job: ClaimedJob) -> None:
        """It has ended, or it is somebody else's now: no trace of it stays."""
        self._outbox.let_go(job)
        self._jobs.pop(job.id, None)
        self._engine.drop(job.id)

    def _save(self) -> None:
        """Save a few of those whose loss would cost too much by now, the oldest first."""
        if not self._outbox.keeps_checkpoints:
            return
        due, images = monotonic() - self._checkpoint_s, 0
        unsaved = [(job.unsaved_since, job) for job in self._jobs.values() if job.unsaved_since]
        for since, job in sorted(unsaved, key=itemgetter(0)):
            if since > due or images >= MOST_SAVED:
                break
            saved = self._engine.save(job.id)
            self._outbox.save(job, saved)
            job.unsaved_since = None
            images += len(saved)

    def _hand_back(self) -> None:
        """What is not drawn goes back to its place in line; what is, gets published."""
        self._pulse.extend(LEAVE_S)  # Celery may leave by itself, and must not get stuck unseen
        self._feeder.stop()
        if self._outbox.keeps_checkpoints:
            for job in self._jobs.values():
                self._outbox.save(job, self._engine.save(job.id))
            self._outbox.flush()
        self._publisher.stop()
        for job in all_of(self._ended):
            self._let_go(job)
        unfinished = [*self._jobs.values(), *all_of(self._feeder.inbox)]
        for job in unfinished:
            self._outbox.let_go(job)
            self._release(job)
        self._outbox.stop()
        log.info("drain.ended", handed_back=len(unfinished))

    def _release(self, job: ClaimedJob) -> None:
        """Back to its place in line; if that is not heard, its lease runs out."""
        try:
            self._ledger.run(commands.release(job.lease))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="release", job=job.lease.ref.id)
