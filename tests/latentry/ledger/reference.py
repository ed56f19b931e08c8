"""A reference of the ledger: a dict, no Redis, and time passes only when the test says so."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from latentry.contracts import EventType, JobStatus, Priority
from latentry.errors import IdempotencyConflict, LeaseLost, QueueFull
from latentry.ledger import JobRef, Lease, NewJob
from latentry.ledger.commands import POISON_CRASHES, Swept
from latentry.ledger.files import FileRef
from latentry.ledger.jobs import Accepted
from latentry.ledger.leases import Reported
from tests.latentry.ledger.reference_fairness import ReferenceFairness, tenant_queue
from tests.latentry.ledger.reference_files import ReferenceFiles
from tests.latentry.ledger.reference_users import user_id


@dataclass(frozen=True, slots=True)
class ReferenceClaim:
    """What a worker asks for. `fences` are those that Redis gave: only that they rise is known."""

    worker: str
    models: Sequence[str]
    room: int
    held: int
    crashed: int
    token: object
    fences: Iterator[int]
    is_over_at_once: bool


@dataclass(slots=True)
class ReferenceJob:
    """One job, and which of its times are over."""

    ref: JobRef
    model: str
    sequence: int
    cost_ms: int
    images_asked: int
    weight: int
    priority: Priority
    must_finish: bool
    user: str
    state: JobStatus = JobStatus.QUEUED
    fence: int = 0
    claims: int = 0
    crashes: int = 0
    since: float = 0  # when it came back as a suspect
    step: int | None = None
    is_stopping: bool = False
    reached: int | None = None
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    held_bytes: int = 0
    images: set[int] = field(default_factory=set)
    events: list[EventType] = field(default_factory=lambda: [EventType.QUEUED])
    lease_is_over: bool = False
    wait_is_over: bool = False
    time_is_over: bool = False
    stay_is_over: bool = False

    @property
    def score(self) -> tuple[int, int]:
        """A test is shorter than the ten minutes between the classes."""
        return list(Priority).index(self.priority), self.sequence

    @property
    def stride(self) -> int:
        return -(-self.cost_ms // self.weight)

    @property
    def is_overdue(self) -> bool:
        is_waiting = self.state is JobStatus.QUEUED
        return self.time_is_over or (is_waiting and self.wait_is_over)

    def holds(self, lease: Lease) -> bool:
        return self.state is JobStatus.RUNNING and self.fence == lease.fence

    def move(self, state: JobStatus) -> None:
        self.state = state
        self.events.append(EventType(state.value))
        if state.is_terminal:
            self.stay_is_over = False
            self.drop_checkpoints()

    def drop_checkpoints(self) -> None:
        self.checkpoints, self.held_bytes = {}, 0

    def requeue(self, *, has_crashed: bool) -> None:
        self.move(JobStatus.QUEUED)
        if self.step is not None:
            if has_crashed or self.step > (self.reached or 0):
                self.wait_is_over = False
            self.reached = max(self.step, self.reached or 0)
        self.step = None


class ReferenceLedger:
    """One method per command, with the answer the command must give."""

    def __init__(self) -> None:
        self.jobs: dict[JobRef, ReferenceJob] = {}
        self.keys: dict[tuple[str, str], tuple[JobRef, str]] = {}
        self.models: set[str] = set()
        self.withdrawn: set[str] = set()
        self.bells: set[str] = set()
        self.nobody_swept = False
        self.kept: set[str] = set()  # models that nobody may withdraw so soon after an outage
        self.fairness = ReferenceFairness()
        self.claimed: dict[str, tuple[object, list[Lease]]] = {}
        self.reserved: dict[JobRef, str] = {}
        self.files = ReferenceFiles()
        self._sequence = 0

    def queue(self, *models: str) -> list[ReferenceJob]:
        waiting = (job for job in self.jobs.values() if job.state is JobStatus.QUEUED)
        return sorted((job for job in waiting if job.model in models), key=lambda job: job.sequence)

    def own_queue(self, job: ReferenceJob) -> list[ReferenceJob]:
        """Those it waits with: its user's in this queue, or the suspects like it."""
        if job.crashes:
            return self.suspects(job.model, is_quarantined=job.crashes > 1)
        own = tenant_queue(self.queue(job.model), job.ref.tenant)
        takes_turns = self.fairness.users[job.ref.tenant].time is not None
        return [other for other in own if other.user == job.user or not takes_turns]

    def suspects(self, model: str, *, is_quarantined: bool) -> list[ReferenceJob]:
        alike = [j for j in self.queue(model) if j.crashes and (j.crashes > 1) == is_quarantined]
        return sorted(alike, key=lambda job: (job.since, str(job.ref)))

    def position(self, ref: JobRef) -> int | None:
        job = self.jobs[ref]
        return self.own_queue(job).index(job) if job.state is JobStatus.QUEUED else None

    def create(self, new: NewJob, max_queued: int) -> Accepted:
        if new.ref in self.jobs:
            return Accepted(new.ref, is_new=True)
        name = (new.ref.tenant, new.idempotency_key)
        if new.idempotency_key:
            ref, body_hash = self.keys.get(name, (None, ""))
            if ref in self.jobs:
                if body_hash != new.body_hash:
                    raise IdempotencyConflict
                return Accepted(ref, is_new=False)
        named = {FileRef.parse(file) for file in new.files.values()}
        self.files.check(named)
        model, tenant = new.request.model, new.ref.tenant
        queue = self.queue(model)
        its_share = self.fairness.share_of(model, tenant, new.weight, max_queued)
        if len(queue) >= max_queued and len(tenant_queue(queue, tenant)) >= its_share:
            raise QueueFull
        self._sequence += 1
        job = ReferenceJob(
            new.ref,
            model,
            self._sequence,
            new.price.cost_ms,
            new.price.images,
            new.weight,
            new.priority,
            new.finish_within_ms > 0,
            user_id(new.user),
        )
        self.jobs[new.ref] = job
        self.files.pin(new.ref, named)
        if new.idempotency_key:
            self.keys[name] = (new.ref, new.body_hash)
        self.fairness.enter(job)
        return Accepted(new.ref, is_new=True)

    def claim(self, ask: ReferenceClaim) -> list[Lease]:
        token, leases = self.claimed.get(ask.worker, (None, []))
        if token == ask.token:
            return [lease for lease in leases if self.held(lease)]
        taken = self._take(ask)
        leases = [self._begin(job, next(ask.fences), ask) for job in taken]
        if leases:
            self.claimed[ask.worker] = (ask.token, leases)
        return leases

    def _take(self, ask: ReferenceClaim) -> list[ReferenceJob]:
        room, taken = min(ask.room, len(self.queue(*ask.models))), []
        if room > 0:
            if ask.held == 0 and (quarantined := self._suspect(ask, is_quarantined=True)):
                return [quarantined]
            if ask.held > 0 and self._is_reserved_for_quarantined(ask):
                return []
            if ask.crashed == 0 and (suspect := self._suspect(ask, is_quarantined=False)):
                taken.append(suspect)
        while len(taken) < room and (
            turn := self.fairness.next(self.queue(*ask.models), ask.models)
        ):
            tag, job = turn
            if job.is_overdue:
                self.end(job, JobStatus.EXPIRED)
                continue
            self.fairness.charge(job, tag, is_turn=True)
            self._leave(job, JobStatus.RUNNING)
            taken.append(job)
        return taken

    def _suspect(self, ask: ReferenceClaim, *, is_quarantined: bool) -> ReferenceJob | None:
        while job := self._first(ask, is_quarantined=is_quarantined):
            if not job.is_overdue:
                self.fairness.charge(job, self.fairness.tag_of(job.ref.tenant), is_turn=False)
                self._leave(job, JobStatus.RUNNING)
                return job
            self.end(job, JobStatus.EXPIRED)
        return None

    def _first(self, ask: ReferenceClaim, *, is_quarantined: bool) -> ReferenceJob | None:
        heads = [
            queue[0]
            for m in ask.models
            if (queue := self.suspects(m, is_quarantined=is_quarantined))
        ]
        return min(heads, key=lambda job: job.since, default=None)

    def _is_reserved_for_quarantined(self, ask: ReferenceClaim) -> bool:
        job = self._first(ask, is_quarantined=True)
        if not job or job.since > 0:  # it has not been passed over for long
            return False
        return self.reserved.setdefault(job.ref, ask.worker) == ask.worker

    def _begin(self, job: ReferenceJob, fence: int, ask: ReferenceClaim) -> Lease:
        assert fence > job.fence, "fences rise (I3)"
        job.fence = fence
        job.claims += 1
        job.lease_is_over = ask.is_over_at_once
        return Lease(job.ref, fence, None)  # type: ignore[arg-type]

    def _leave(self, job: ReferenceJob, state: JobStatus) -> None:
        """Out of its queue, if it is in one."""
        job.move(state)
        if state.is_terminal:
            self.files.unpin(job.ref)
        self.fairness.leave(job, self.queue(job.model))

    def end(self, job: ReferenceJob, state: JobStatus) -> None:
        self._leave(job, state)

    def back(self, job: ReferenceJob, *, has_crashed: bool = False) -> None:
        job.requeue(has_crashed=has_crashed)
        self.fairness.refund(job)
        self.fairness.enter(job)

    def held(self, lease: Lease) -> ReferenceJob | None:
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

    def progress(self, steps: Iterable[tuple[Lease, int, int]]) -> Reported:
        counted = [(job, step) for lease, step, _ in steps if (job := self.held(lease))]
        for job, step in counted:
            job.step = step
            if step > (job.reached or 0):
                job.crashes = 0
        return Reported(len(counted))

    def add_output(self, lease: Lease, index: int) -> None:
        listed = self.jobs.get(lease.ref)
        if listed and index in listed.images:
            return
        job = self.held(lease)
        if not job:
            raise LeaseLost
        job.images.add(index)
        job.crashes = 0
        job.events.append(EventType.IMAGE)

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

    def settle(self, lease: Lease, status: JobStatus) -> None:
        job = self.jobs.get(lease.ref)
        if job and job.state is status and job.fence == lease.fence:
            return
        if not job or not job.holds(lease):
            raise LeaseLost
        if job.time_is_over:
            self.end(job, JobStatus.EXPIRED)
            raise LeaseLost
        self.end(job, status)

    def release(self, lease: Lease) -> bool:
        job = self.held(lease)
        if job and job.is_stopping:
            self.end(job, JobStatus.CANCELED)
        elif job:
            self.back(job)
        return job is not None

    def cancel(self, ref: JobRef) -> bool:
        job = self.jobs.get(ref)
        if job and job.state is JobStatus.QUEUED:
            self.end(job, JobStatus.CANCELED)
        elif job and job.state is JobStatus.RUNNING:
            job.is_stopping = True
        return job is not None

    def forget(self, ref: JobRef) -> bool:
        job = self.jobs.pop(ref, None)
        self.files.unpin(ref)
        if job and job.state is JobStatus.QUEUED:
            self.end(job, JobStatus.CANCELED)
        return job is not None

    def reserve_bell(self, model: str) -> bool:
        is_first = model not in self.bells
        self.bells.add(model)
        return is_first

    def release_bell(self, models: Iterable[str]) -> int:
        self.bells.difference_update(models)
        return 1

    def catalogue(self, model: str) -> int:
        is_new = model not in self.models
        self.models.add(model)
        self.withdrawn.discard(model)
        return int(is_new)

    def withdraw(self, model: str, most: int) -> int:
        if model in self.kept:
            return 0
        self.models.discard(model)
        self.withdrawn.add(model)
        ended = self.queue(model)[:most]
        for job in ended:
            self.end(job, JobStatus.FAILED)
        return len(ended)

    def _end_withdrawn(self) -> None:
        for model in set(self.withdrawn):
            for job in self.queue(model):
                self.end(job, JobStatus.FAILED)
            alike = (job for job in self.jobs.values() if job.model == model)
            if all(job.state.is_terminal for job in alike):
                self.withdrawn.discard(model)

    def sweep(self) -> Swept:
        running = [job for job in self.jobs.values() if job.state is JobStatus.RUNNING]
        if self.nobody_swept:
            for job in running:
                job.lease_is_over = False
            self.kept |= self.models
        self.nobody_swept = False
        for job in running:
            if job.lease_is_over:
                self._lose(job)
        for job in self.jobs.values():
            if job.is_overdue and not job.state.is_terminal:
                self.end(job, JobStatus.EXPIRED)
        self._end_withdrawn()
        silent = tuple(m for m in sorted(self.models - self.bells) if self.queue(m))
        stale = sorted(
            (job for job in self.jobs.values() if job.stay_is_over), key=lambda j: str(j.ref)
        )
        for job in stale:
            job.stay_is_over = False
        return Swept(silent, tuple(job.ref for job in stale if job.state.is_terminal))

    def _lose(self, job: ReferenceJob) -> None:
        if job.step is not None:
            job.crashes += 1
        if job.is_stopping:
            self.end(job, JobStatus.CANCELED)
        elif job.crashes >= POISON_CRASHES:
            self.end(job, JobStatus.FAILED)
        else:
            self.back(job, has_crashed=True)
