"""The one loop of a worker: claimed jobs in, one step of all of them, finished pictures out."""

import threading
from time import monotonic
from typing import Any, Final

import structlog

from latentry.contracts import JobStatus
from latentry.ledger import JobRef
from latentry.rules.pricing import skipped_steps
from worker.changes import change_model, is_for_others
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.claims.claimer import Claimer
from worker.claims.inbox import (
    Claimed,
    Exchanged,
    Inbox,
    JobEnded,
    LeaseLost,
    Message,
    ModelChanged,
    StopAsked,
    Watched,
    YieldWanted,
)
from worker.claims.offer import Offer
from worker.claims.reporter import Reporter
from worker.engine.loop import (
    Canceled,
    Done,
    Engine,
    Event,
    Failed,
    Intermediate,
    Joined,
    Preview,
    Step,
)
from worker.metrics import Metrics
from worker.publishing.picture import Picture
from worker.publishing.publisher import Publisher
from worker.room import room_for
from worker.saving import Saving
from worker.stepping import Stepping

log = structlog.get_logger()

IDLE_S: Final = 1.0
QUIET_S: Final = 0.02  # an engine that is idle for so long may measure something
PAUSED_S: Final = 0.02
PACE_S: Final = 5.0  # how often the speed of this worker is reported
CANCELED: Final = Outcome(JobStatus.CANCELED)


class WorkerLoop:
    """Steps until `stop` is called, then hands back unfinished jobs.

    All calls into the engine come from the thread that runs `run`. Other threads talk to it through
    `inbox`; it talks to them through `claimer`, `reporter` and `publisher`.
    """

    def __init__(
        self,
        *,
        engine: Engine[Any],
        stepping: Stepping,
        saving: Saving,
        inbox: Inbox,
        claimer: Claimer,
        reporter: Reporter,
        publisher: Publisher,
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._stepping = stepping
        self._saving = saving
        self._inbox = inbox
        self._claimer = claimer
        self._reporter = reporter
        self._publisher = publisher
        self._metrics = metrics
        self._jobs: dict[str, ClaimedJob] = {}
        self._received = 0
        self._report_pace_at = 0.0
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Hand everything back at the next step boundary. From any thread."""
        self._stopping.set()
        self._inbox.wake()

    def run(self) -> None:
        """Until stopped: turn, and rest for as long as nothing is to do."""
        self._claimer.start()
        has_rested = False
        while not self._stopping.is_set():
            rest_s = self.turn(has_rested=has_rested)
            has_rested = rest_s > 0 and not self._inbox.wait(rest_s)
        self._hand_back()

    def turn(self, *, has_rested: bool = False) -> float:
        """Read the inbox, offer room, step, pass on the engine's events.

        Returns the seconds that it may rest then. `has_rested`: in those before nothing was posted.
        """
        self._read_inbox()
        self._offer_room()
        self._report_pace()
        if self._engine.idle and not self._engine.is_changing:
            self._stepping.rest()
            # What nobody asked for is measured only where nobody asks for anything.
            return IDLE_S if has_rested and not self._stepping.measure() else QUIET_S
        self._engine.holds_intermediates = not self._publisher.has_room
        events = self._stepping.step()
        for event in events:
            self._pass_on(event)
        self._saving.save_due(self._jobs.values())
        timing = self._engine.last_step
        has_worked = events or timing.rows or timing.background or timing.decoded
        return 0.0 if has_worked else PAUSED_S  # all are paused, to be exchanged

    def _read_inbox(self) -> None:
        for message in self._inbox.take():
            self._receive(message)

    def _receive(self, message: Message) -> None:
        match message:
            case Claimed(job):
                self._received += 1
                self._begin(job)
            case StopAsked(ref):
                self._stop_job(ref)
            case YieldWanted(job, urgent):
                self._yield(job, urgent)
            case Watched(job, every):
                self._engine.watch(job.id, every)
            case ModelChanged() as change:
                change_model(change, self._engine, self._claimer, self._reporter)
            case LeaseLost(job) | Exchanged(job) | JobEnded(job):
                self._forget(job)

    def _stop_job(self, ref: JobRef) -> None:
        for job in self._reporter.leases.jobs:  # its Claimed may still be in the inbox
            if job.lease.ref == ref:
                self._end_early(job, CANCELED)

    def _offer_room(self) -> None:
        room, background = room_for(self._engine, self._publisher, has_jobs=bool(self._jobs))
        next_free_row_s = 0.0 if room > 1 else self._engine.next_free_row_s
        self._claimer.offer(Offer(room, background, self._received, next_free_row_s))

    def _report_pace(self) -> None:
        if monotonic() >= self._report_pace_at:
            self._report_pace_at = monotonic() + PACE_S
            self._reporter.heartbeat.served.report_pace(self._engine.paces())

    def _begin(self, job: ClaimedJob) -> None:
        if job not in self._reporter.leases:  # lost while its Claimed was in the inbox
            return
        self._jobs[job.id] = job
        if self._stopping.is_set():  # it is handed back with the others
            return
        self._publisher.add_controls(job)
        for order in job.orders:
            self._engine.submit(order, goes_first=job.goes_first)
        if job.ends_early:  # stopped while its Claimed was in the inbox
            self._engine.drop(job.id)
        if job.is_over:  # its last worker died between the last picture and the end
            self._publisher.close(job, [0])
        elif job.begins_clip():  # or before it had made one file of them
            self._publisher.add_clip(job)

    def _yield(self, job: ClaimedJob, urgent: JobRef) -> None:
        """Save and pause this job; its rows stay taken until the urgent job has arrived."""
        if self._jobs.get(job.id) is not job or not job.may_yield:
            return
        self._saving.save(job)
        job.is_yielding = True
        self._engine.pause(job.id)
        self._claimer.exchange(job, urgent)

    def _pass_on(self, event: Event) -> None:
        job = self._jobs.get(event.job)
        if job is None:  # lost or handed back since
            return
        match event:
            case Joined(index=index, warnings=warnings, step=step):
                job.warn(warnings)
                # At once: should its first call kill the worker, it is a suspect.
                steps = job.lease.record.request.total_steps
                self._reporter.progress.step(job, job.step(index, step), steps)
                skipped = skipped_steps(job.lease.record.request)
                self._metrics.joined(step - skipped, job.reached - skipped)
            case Step(index=index, step=step, steps=steps):
                self._reporter.progress.step(job, job.step(index, step), steps)
                job.unsaved_since = job.unsaved_since or monotonic()
            case Preview():
                self._reporter.progress.preview(job, event)
            case Intermediate():
                self._store(job, event)
            case _:
                self._leave_engine(job, event)

    def _store(self, job: ClaimedJob, one: Intermediate) -> None:
        picture = Picture.of_step(job, one)
        job.expect(one.index, picture.name)
        self._publisher.submit(picture)

    def _leave_engine(self, job: ClaimedJob, event: Done | Failed | Canceled) -> None:
        """The engine is done with an image."""
        images = job.leave_engine(event.index)
        match event:
            case Done() as done:
                for image in images:
                    self._publisher.submit(Picture.of(job, image, done))
            case Failed(error=error) if is_for_others(job, error, self._claimer):
                self._forget(job)
                self._reporter.hand_back(job)
            case Failed(error=error):
                # One failed image fails the job; pictures that are published stay listed.
                self._end_early(job, Outcome(JobStatus.FAILED, error))
                self._publisher.close(job, images)
            case Canceled():
                self._publisher.close(job, images)

    def _end_early(self, job: ClaimedJob, outcome: Outcome) -> None:
        job.end_early(outcome)
        self._engine.drop(job.id)  # Canceled events follow

    def _forget(self, job: ClaimedJob) -> None:
        """It has ended, or another worker has it."""
        self._reporter.forget(job)
        self._jobs.pop(job.id, None)
        self._engine.drop(job.id)
        if job.has_crashed or not self._jobs:  # suspects and quarantined jobs waited for this
            self._claimer.hear()

    def _hand_back(self) -> None:
        """Publish finished pictures; unfinished jobs go back to their places in their queues."""
        self._stepping.stop()
        self._claimer.stop()
        self._saving.save_all(self._jobs.values())
        self._publisher.stop()
        self._read_inbox()
        for job in self._jobs.values():
            self._reporter.hand_back(job)
        self._reporter.stop()
        log.info("worker.stopped", handed_back=len(self._jobs))
