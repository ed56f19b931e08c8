"""The ledger as it should be, on paper: a dict, no Redis, and time passes only when told to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from latentry.contracts import EventType, JobStatus
from latentry.errors import IdempotencyConflict, LeaseLost, QueueFull
from latentry.jobs import JobRef, Lease, NewJob
from latentry.jobs.commands import POISON_CRASHES
from latentry.jobs.records import Accepted, Swept


@dataclass(slots=True)
class PaperJob:
    """One job, and which of its times are over."""

    ref: JobRef
    model: str
    turn: int
    state: JobStatus = JobStatus.QUEUED
    fence: int = 0
    crashes: int = 0
    step: int | None = None
    is_stopping: bool = False
    reached: int | None = None
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    held_bytes: int = 0
    images: set[int] = field(default_factory=set)
    story: list[EventType] = field(default_factory=lambda: [EventType.QUEUED])
    lease_is_over: bool = False
    wait_is_over: bool = False
    stay_is_over: bool = False

    def holds(self, lease: Lease) -> bool:
        return self.state is JobStatus.RUNNING and self.fence == lease.fence

    def move(self, state: JobStatus) -> None:
        self.state = state
        self.story.append(EventType(state.value))
        if state.is_terminal:
            self.stay_is_over = False
            self.drop_checkpoints()

    def drop_checkpoints(self) -> None:
        self.checkpoints, self.held_bytes = {}, 0

    def requeue(self) -> None:
        self.move(JobStatus.QUEUED)
        if self.step is not None:
            self.wait_is_over = False
            self.reached = self.step
        self.step = None


class PaperLedger:
    """One method per command, with the answer the command must give."""

    def __init__(self) -> None:
        self.jobs: dict[JobRef, PaperJob] = {}
        self.keys: dict[tuple[str, str], tuple[JobRef, str]] = {}
        self.models: set[str] = set()
        self.bells: set[str] = set()
        self.nobody_swept = False
        self._turn = 0

    def line(self, *models: str) -> list[PaperJob]:
        waiting = (job for job in self.jobs.values() if job.state is JobStatus.QUEUED)
        return sorted((job for job in waiting if job.model in models), key=lambda job: job.turn)

    def position(self, ref: JobRef) -> int | None:
        job = self.jobs[ref]
        return self.line(job.model).index(job) if job.state is JobStatus.QUEUED else None

    def create(self, order: NewJob, max_queued: int) -> Accepted:
        if order.ref in self.jobs:
            return Accepted(order.ref, self.position(order.ref) or 0, is_new=True)
        name = (order.ref.tenant, order.idempotency_key)
        if order.idempotency_key:
            ref, body_hash = self.keys.get(name, (None, ""))
            if ref in self.jobs:
                if body_hash != order.body_hash:
                    raise IdempotencyConflict
                same_line = self.jobs[ref].model == order.request.model
                return Accepted(ref, (same_line and self.position(ref)) or 0, is_new=False)
        if len(self.line(order.request.model)) >= max_queued:
            raise QueueFull
        self._turn += 1
        self.jobs[order.ref] = PaperJob(order.ref, order.request.model, self._turn)
        if order.idempotency_key:
            self.keys[name] = (order.ref, order.body_hash)
        position = self.position(order.ref)
        assert position is not None
        return Accepted(order.ref, position, is_new=True)

    def claim(self, models: Iterable[str], room: int, *, is_over_at_once: bool) -> list[Lease]:
        leases: list[Lease] = []
        for job in self.line(*models):
            if len(leases) == room:
                break
            if job.wait_is_over:
                job.move(JobStatus.EXPIRED)
                continue
            job.move(JobStatus.RUNNING)
            job.fence += 1
            job.lease_is_over = is_over_at_once
            leases.append(Lease(job.ref, job.fence, None))  # type: ignore[arg-type]
        return leases

    def held(self, lease: Lease) -> PaperJob | None:
        job = self.jobs.get(lease.ref)
        return job if job and job.holds(lease) else None

    def renew(self, leases: Sequence[Lease]) -> list[str]:
        answers = []
        for lease in leases:
            job = self.held(lease)
            if job:
                job.lease_is_over = False
            answers.append(("stop" if job.is_stopping else "held") if job else "lost")
        return answers

    def progress(self, steps: Iterable[tuple[Lease, int, int]]) -> int:
        counted = [(job, step) for lease, step, _ in steps if (job := self.held(lease))]
        for job, step in counted:
            job.step = step
        return len(counted)

    def add_image(self, lease: Lease, index: int) -> None:
        job = self.held(lease)
        if not job:
            raise LeaseLost
        if index not in job.images:
            job.images.add(index)
            job.story.append(EventType.IMAGE)

    def checkpoint(self, lease: Lease, index: int, saved: bytes, budget: int) -> bool:
        job = self.held(lease)
        if not job:
            raise LeaseLost
        if not job.checkpoints:
            job.drop_checkpoints()  # what had its time is not charged for any more
        more = len(saved) - len(job.checkpoints.get(index, b""))
        if self.held_bytes + more > budget:
            return False
        job.checkpoints[index] = saved
        job.held_bytes += more
        return True

    def checkpoints(self, lease: Lease) -> dict[int, bytes]:
        job = self.held(lease)
        return job.checkpoints if job else {}

    @property
    def held_bytes(self) -> int:
        return sum(job.held_bytes for job in self.jobs.values())

    def warn(self, lease: Lease) -> None:
        if not self.held(lease):
            raise LeaseLost

    def settle(self, lease: Lease, status: JobStatus) -> None:
        job = self.jobs.get(lease.ref)
        if job and job.state is status and job.fence == lease.fence:
            return
        if not job or not job.holds(lease):
            raise LeaseLost
        job.move(status)

    def release(self, lease: Lease) -> bool:
        job = self.held(lease)
        if job and job.is_stopping:
            job.move(JobStatus.CANCELED)
        elif job:
            job.requeue()
        return job is not None

    def cancel(self, ref: JobRef) -> bool:
        job = self.jobs.get(ref)
        if job and job.state is JobStatus.QUEUED:
            job.move(JobStatus.CANCELED)
        elif job and job.state is JobStatus.RUNNING:
            job.is_stopping = True
        return job is not None

    def forget(self, ref: JobRef) -> bool:
        return self.jobs.pop(ref, None) is not None

    def ring(self, model: str) -> bool:
        is_first = model not in self.bells
        self.bells.add(model)
        return is_first

    def answer(self, models: Iterable[str]) -> int:
        self.bells.difference_update(models)
        return 1

    def catalogue(self, model: str) -> int:
        is_new = model not in self.models
        self.models.add(model)
        return int(is_new)

    def sweep(self) -> Swept:
        running = [job for job in self.jobs.values() if job.state is JobStatus.RUNNING]
        if self.nobody_swept:
            for job in running:
                job.lease_is_over = False
        self.nobody_swept = False
        for job in running:
            if job.lease_is_over:
                self._lose(job)
        for job in self.line(*{job.model for job in self.jobs.values()}):
            if job.wait_is_over:
                job.move(JobStatus.EXPIRED)
        silent = tuple(m for m in sorted(self.models - self.bells) if self.line(m))
        stale = sorted(
            (job for job in self.jobs.values() if job.stay_is_over), key=lambda j: str(j.ref)
        )
        for job in stale:
            job.stay_is_over = False
        return Swept(silent, tuple(job.ref for job in stale if job.state.is_terminal))

    def _lose(self, job: PaperJob) -> None:
        if job.step is not None:
            job.crashes += 1
        if job.is_stopping:
            job.move(JobStatus.CANCELED)
        elif job.crashes >= POISON_CRASHES:
            job.move(JobStatus.FAILED)
        else:
            job.requeue()
