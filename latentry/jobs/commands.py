"""Everything one can ask of the ledger, as values: each function returns one atomic command."""

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from latentry.contracts import EventType, JobStatus, JobWarning, ModelCard, StoredImage
from latentry.errors import IdempotencyConflict, LatentryError, LeaseLost, QueueFull
from latentry.jobs.ledger import Command
from latentry.jobs.records import (
    Accepted,
    JobRecord,
    JobRef,
    Lease,
    LedgerEvent,
    Line,
    NewJob,
    Swept,
    event_order,
)

POISON_CRASHES = 3
SWEEP_BATCH = 100


# What the gateway asks


def create(job: NewJob, *, max_queued: int) -> Command[Accepted]:
    """Enter a job `queued`, with its place in line and its idempotency key, or find its equal.

    Raises QueueFull, or IdempotencyConflict if the key stands for another body.
    """

    def read(answer: Sequence[Any]) -> Accepted:
        match answer[0]:
            case "conflict":
                raise IdempotencyConflict
            case "full":
                raise QueueFull(f"{answer[1]} jobs are waiting already; try again later.")
        return Accepted(JobRef.parse(answer[1]), int(answer[2]), is_new=answer[0] == "created")

    return Command(
        "create",
        (
            str(job.ref),
            job.ref.tenant,
            job.request.model,
            max_queued,
            job.queue_ttl_ms,
            job.ttl_ms,
            job.idempotency_key,
            job.body_hash,
            "request",
            job.request.model_dump_json(),
        ),
        read,
    )


def get(ref: JobRef) -> Command[JobRecord | None]:
    """One job as it stands, or None."""
    return Command("get", (str(ref),), lambda answer: JobRecord.read(*answer))


def page(tenant: str, *, below: int | None, limit: int) -> Command[list[JobRecord]]:
    """A tenant's jobs, newest first, from below a turn number."""
    start = "+inf" if below is None else f"({below}"
    return Command("page", (tenant, start, limit), _records)


def cancel(ref: JobRef) -> Command[bool]:
    """End a waiting job, or ask the worker of a running one to stop. False: no such job."""
    return Command("cancel", (str(ref),), bool)


def forget(ref: JobRef) -> Command[bool]:
    """Remove every trace of a job from the ledger. False: there was none."""
    return Command("forget", (str(ref), ref.tenant), bool)


def events(ref: JobRef, *, after: str = "") -> Command[list[LedgerEvent]]:
    """A job's durable events after an event id; all of them after one that cannot be ours."""
    known = after if event_order(after) > (0, 0) else ""

    def read(answer: Iterable[Any]) -> list[LedgerEvent]:
        return [_event(ref, id, dict(zip(row[::2], row[1::2], strict=True))) for id, row in answer]

    return Command("events", (str(ref), known), read)


def lines() -> Command[list[Line]]:
    """The catalogue with what is live and what waits."""
    return Command("models", (), lambda answer: [Line(*row) for row in answer])


def ring(model: str, *, ttl_s: float) -> Command[bool]:
    """Take the right to ring a model's bell. False: one is on its way already."""
    return Command("ring", (model, int(ttl_s * 1000)), bool)


def answer(models: Iterable[str]) -> Command[int]:
    """Give back the right to ring for these models: the bell was not sent."""
    return Command("answer", tuple(models), int)


def probe() -> Command[bool]:
    """Write something: the ledger is only ready if it can be written."""
    return Command("probe", (), bool)


# What a worker asks


def catalogue(card: ModelCard) -> Command[int]:
    """Enter or refresh a model in the catalogue."""
    return Command("catalogue", (card.id, card.model_dump_json()), int)


def heartbeat(worker: str, models: Iterable[str], *, ttl_s: float) -> Command[int]:
    """This worker is alive and holds these models; with none of them, it is leaving."""
    return Command("heartbeat", (worker, int(ttl_s * 1000), " ".join(models)), int)


def claim(worker: str, models: Iterable[str], *, room: int, lease_s: float) -> Command[list[Lease]]:
    """Take up to `room` jobs, the longest waiting first."""

    def read(claims: Iterable[Any]) -> list[Lease]:
        return [_lease(ref, int(fence), flat) for ref, fence, flat in claims]

    return Command("claim", (worker, int(lease_s * 1000), room, *models), read)


def renew(leases: Sequence[Lease], *, lease_s: float) -> Command[list[str]]:
    """Hold on to jobs. Answers `held`, `stop` (its cancellation was asked for) or `lost` each."""
    pairs = [part for lease in leases for part in (str(lease.ref), lease.fence)]
    return Command("renew", (int(lease_s * 1000), *pairs), list)


def progress(steps: Iterable[tuple[Lease, int, int]]) -> Command[int]:
    """Tell the latest (lease, step, of how many) of several jobs in one message."""
    rows = [part for lease, step, of in steps for part in (str(lease.ref), lease.fence, step, of)]
    return Command("progress", tuple(rows), int)


def preview(lease: Lease, index: int, step: int, jpeg: bytes) -> Command[bool]:
    """Show how far an image is. Nothing of it is kept. False: the lease is lost."""
    text = base64.b64encode(jpeg).decode()
    return Command("preview", (str(lease.ref), lease.fence, index, step, text), bool)


def add_image(lease: Lease, image: StoredImage) -> Command[None]:
    """List a finished picture, whose bytes are in storage by now. Raises LeaseLost."""
    args = (str(lease.ref), lease.fence, image.index, image.model_dump_json())
    return Command("image", args, _standing)


def checkpoint(lease: Lease, index: int, saved: bytes, *, budget_bytes: int) -> Command[bool]:
    """Keep where an unfinished image stands. False: the budget is spent. Raises LeaseLost."""

    def read(answer: str) -> bool:
        if answer == "lost":
            raise LeaseLost
        return answer == "kept"

    args = (str(lease.ref), lease.fence, index, budget_bytes, saved)
    return Command("checkpoint", args, read)


def checkpoints(lease: Lease) -> Command[dict[int, bytes]]:
    """Where its images stood when they were saved last, by index."""

    def read(answer: Sequence[bytes]) -> dict[int, bytes]:
        return dict(zip(map(int, answer[::2]), answer[1::2], strict=True))

    return Command("checkpoints", (str(lease.ref), lease.fence), read, is_binary=True)


def warn(lease: Lease, warnings: Sequence[JobWarning]) -> Command[None]:
    """Note what the caller should know. Raises LeaseLost."""
    text = json.dumps([warning.model_dump() for warning in warnings])
    return Command("warn", (str(lease.ref), lease.fence, text), _standing)


def settle(lease: Lease, status: JobStatus, error: LatentryError | None = None) -> Command[None]:
    """End a job. Raises LeaseLost."""
    assert status.is_terminal, "a job ends in a terminal state"
    fault = (error.code, error.message) if error else ("", "")
    return Command("settle", (str(lease.ref), lease.fence, status.value, *fault), _standing)


def release(lease: Lease) -> Command[bool]:
    """Hand an unfinished job back to its old place in line. False: it was lost already."""
    return Command("release", (str(lease.ref), lease.fence), bool)


# What both ask


def sweep(*, lease_s: float) -> Command[Swept]:
    """End what is overdue: leases, deadlines, dead workers. To be asked about once a second."""

    def read(answer: Sequence[Any]) -> Swept:
        return Swept(tuple(answer[0]), tuple(JobRef.parse(ref) for ref in answer[1]))

    lease_ms = int(lease_s * 1000)
    return Command("sweep", (lease_ms, lease_ms // 2, POISON_CRASHES, SWEEP_BATCH), read)


def _records(answer: Iterable[Any]) -> list[JobRecord]:
    found = (JobRecord.read(*row) for row in answer)
    return [record for record in found if record is not None]


def _lease(ref: str, fence: int, flat: Sequence[str]) -> Lease:
    record = JobRecord.read(ref, flat)
    assert record is not None, "a claim always carries its record"
    return Lease(record.ref, fence, record)


def _event(ref: JobRef, id: str, row: dict[str, str]) -> LedgerEvent:
    return LedgerEvent(ref, id, EventType(row["type"]), json.loads(row["data"]))


def _standing(answer: int) -> None:
    if not answer:
        raise LeaseLost
