"""The commands that gateways run for requests."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import structlog

from latentry.contracts import EventType
from latentry.errors import (
    DeadlineUnreachable,
    FileGone,
    FinishWithinTooShort,
    IdempotencyConflict,
    QueueFull,
)
from latentry.ledger.accounts import refusal
from latentry.ledger.connection import Command
from latentry.ledger.feed import LedgerEvent, event_order
from latentry.ledger.jobs import Accepted, JobRecord, NewJob, WaitEstimate
from latentry.ledger.leases import UnreadableRecord
from latentry.ledger.refs import JobRef

log = structlog.get_logger()

_FOR_EVER_MS: Final = 2**53
# The part of a deadline that an estimate may use up, because estimates err.
_TRUSTED: Final = 0.8


def create(job: NewJob, *, max_queued: int, max_wait_s: float = math.inf) -> Command[Accepted]:
    """Create a job, `queued`, or find the one that has its idempotency key.

    It pins its files until it ends. Raises QueueFull, DeadlineUnreachable, FinishWithinTooShort,
    TooManyJobs, QuotaExceeded, FileGone, or IdempotencyConflict for another request body under the
    same key.
    """

    def read(answer: Sequence[Any]) -> Accepted:
        _refuse(job, answer)
        what, ref, *facts = answer
        record = JobRecord.created(job, *facts) if facts else None
        return Accepted(JobRef.parse(ref), what == "created", record)

    return Command("gateway/create", _arguments(job, max_queued, max_wait_s), read)


def find_or_check(
    job: NewJob, *, max_queued: int, max_wait_s: float = math.inf
) -> Command[JobRef | None]:
    """The job that has this one's idempotency key, or None; changes nothing.

    Raises what `create` would.
    """

    def read(answer: Sequence[Any]) -> JobRef | None:
        _refuse(job, answer)
        what, ref, *_ = answer
        return None if what == "possible" else JobRef.parse(ref)

    options, request = _arguments(job, max_queued, max_wait_s, dry_run=True, finds=True)
    return Command("gateway/create", (options, request), read)


def find_repeats(tenant: str, keys: Sequence[str]) -> Command[dict[str, tuple[JobRef, str]]]:
    """The jobs that idempotency keys of a tenant have, each with the hash of its body."""

    def read(answer: Sequence[Sequence[str]]) -> dict[str, tuple[JobRef, str]]:
        found = zip(keys, answer, strict=True)
        return {key: (JobRef.parse(known[0]), known[1]) for key, known in found if known}

    return Command("gateway/find_repeats", (tenant, *keys), read)


def estimate(
    job: NewJob, *, max_queued: int, max_wait_s: float = math.inf
) -> Command[WaitEstimate]:
    """When a job would start if it were created now. Raises what `create` would."""

    def read(answer: Sequence[Any]) -> WaitEstimate:
        _refuse(job, answer)
        wait_ms, now_ms = answer[1:]
        return WaitEstimate(now_ms, wait_ms if wait_ms >= 0 else None)

    return Command("gateway/create", _arguments(job, max_queued, max_wait_s, dry_run=True), read)


def get(ref: JobRef) -> Command[JobRecord | None]:
    """One job as it stands, or None. Raises UnreadableRecord."""

    def read(answer: Sequence[Any]) -> JobRecord | None:
        try:
            return JobRecord.read(*answer)
        except (KeyError, ValueError) as error:
            raise UnreadableRecord(str(ref)) from error

    return Command("gateway/get", (str(ref),), read)


def cancel(ref: JobRef) -> Command[bool]:
    """End a waiting job, or ask the worker of a running one to stop. False: no such job."""
    return Command("gateway/cancel", (str(ref),), bool)


def forget(ref: JobRef, *, silently: bool = False) -> Command[bool]:
    """Remove every trace of a job from the ledger. False: there was none.

    What its webhook has not delivered yet is still sent, unless `silently`.
    """
    return Command("gateway/forget", (str(ref), ref.tenant, int(silently)), bool)


def was_kept(ref: JobRef) -> Command[bool]:
    """Whether there was such a job until its time was over, not long ago."""
    return Command("gateway/was_kept", (str(ref),), bool)


def list_events(ref: JobRef, *, after: str = "") -> Command[list[LedgerEvent]]:
    """A job's durable events after an event id; all of them if it is no event id."""
    known = after if event_order(after) > (0, 0) else ""

    def read(answer: Iterable[Any]) -> list[LedgerEvent]:
        return [_event(ref, id, dict(zip(row[::2], row[1::2], strict=True))) for id, row in answer]

    return Command("gateway/list_events", (str(ref), known), read)


def reserve_bell(model: str, *, ttl_s: float) -> Command[bool]:
    """Take the right to send a model's bell. False: one is on its way already."""
    return Command("gateway/reserve_bell", (model, int(ttl_s * 1000)), bool)


def release_bell(models: Iterable[str]) -> Command[int]:
    """Give back the right to send these models' bells: they could not be sent."""
    return Command("gateway/release_bell", tuple(models), int)


def check_writable() -> Command[bool]:
    """Fail unless the ledger can be written."""
    return Command("gateway/check_writable", (), bool)


def _arguments(
    job: NewJob,
    max_queued: int,
    max_wait_s: float,
    *,
    dry_run: bool = False,
    finds: bool = False,
) -> tuple[str, str]:
    price = job.price
    waits = [min(max_wait_s * 1000, _FOR_EVER_MS)]
    waits += [_TRUSTED * job.start_within_ms] if job.start_within_ms else []
    waits += [_TRUSTED * job.finish_within_ms - price.takes_ms] if job.finish_within_ms else []
    options = {
        "ref": str(job.ref),
        "tenant": job.ref.tenant,
        "model": job.request.model,
        "max_queued": max_queued,
        "queue_ttl_ms": job.queue_ttl_ms,
        "ttl_ms": job.ttl_ms,
        "idempotency_key": "" if dry_run and not finds else job.idempotency_key,
        "body_hash": job.body_hash,
        "account": job.account.charge(job.price),
        "priority": job.priority,
        "weight": job.weight,
        "cost_ms": price.cost_ms,
        "takes_ms": price.takes_ms,
        "step_megapixels": str(price.step_megapixels),
        "seats": price.seats,
        "images": price.images,
        "max_wait_ms": int(min(waits)),
        "wait_ttl_ms": min(job.queue_ttl_ms, job.start_within_ms or job.queue_ttl_ms),
        "finish_within_ms": job.finish_within_ms,
        "files": sorted(set(job.files.values())),
        "dry_run": dry_run,
        "adapters": " ".join(job.request.adapters),
        "kind": job.request.kind,
        "labels": job.request.metadata,
    } | job.extras
    # The request by itself: it is stored as it is, without its numbers going through Lua.
    return json.dumps(options), job.request.model_dump_json()


def _refuse(job: NewJob, answer: Sequence[Any]) -> None:
    match answer:
        case ["file_gone", ref]:
            gone = [name for name, file in job.files.items() if file == ref]
            raise FileGone(fields={f"/{name}": FileGone().message for name in gone})
        case ["conflict"]:
            raise IdempotencyConflict
        case ["full", waiting, one_ms]:
            raise QueueFull(
                f"{waiting} jobs wait for this model already; try again later.",
                retry_after_s=one_ms / 1000 if one_ms >= 0 else None,
            )
        case ["late", _, most_ms] if most_ms < 0:  # no queue is short enough: no retry helps
            why = _too_short(job)
            raise FinishWithinTooShort(why, fields={"/finish_within": why})
        case ["late", wait_ms, most_ms]:
            raise DeadlineUnreachable(
                f"The job would start in about {wait_ms / 1000:.1f} s,"
                f" {(wait_ms - most_ms) / 1000:.1f} s too late; allow more time, or request less.",
                retry_after_s=(wait_ms - most_ms) / 1000,
            )
        case ["too_many_jobs" | "quota_exceeded", *_]:
            raise refusal(*answer)


def _too_short(job: NewJob) -> str:
    takes_s = job.price.takes_ms / 1000
    least_s = math.ceil(takes_s / _TRUSTED)
    return (
        f"The images take about {takes_s:.1f} s without any queue; `finish_within` must be"
        f" {least_s} or more, as estimates err."
    )


def readable_records(answer: Iterable[Sequence[Any]]) -> list[JobRecord | None]:
    """What `read_job` says of several jobs; None for a record of another version."""
    return [_readable(*row) for row in answer]


def _readable(ref: str, *fields: Any) -> JobRecord | None:
    try:
        return JobRecord.read(ref, *fields)
    except (KeyError, ValueError):  # one such record must not hide all others
        log.error("record.unreadable", job=JobRef.parse(ref).id)
        return None


def _event(ref: JobRef, id: str, row: dict[str, str]) -> LedgerEvent:
    return LedgerEvent(ref, id, EventType(row["type"]), json.loads(row["data"]))
