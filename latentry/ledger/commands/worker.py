"""The commands that workers run."""

import base64
import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final

from latentry.contracts import (
    AnyCard,
    JobStatus,
    JobWarning,
    RegisteredCard,
    StoredOutput,
)
from latentry.errors import LatentryError, LeaseLost
from latentry.ledger.catalogue import NO_ADAPTERS, ListedAdapters
from latentry.ledger.connection import Command
from latentry.ledger.jobs import JobRecord
from latentry.ledger.leases import Claims, Lease, Reported, UnreadableRecord
from latentry.ledger.refs import JobRef

_LIST_TTL_MS: Final = 7 * 86_400_000
WITHDRAW_BATCH: Final = 100
WATCHED_EVERY_MS: Final = 1_000  # between two previews of a job that is looked at


def register_model(
    card: AnyCard, adapters: ListedAdapters = NO_ADAPTERS, *, in_full: bool = True
) -> Command[int]:
    """Enter what a worker serves into the catalogue, or replace its card; 1 if it is new.

    `adapters`: all that its workers have; `in_full`: else -1 says that the ledger lacks the list.
    """
    if isinstance(card, RegisteredCard):
        adapters = ListedAdapters.of(card.adapters)
    arguments = (adapters.digest, adapters.text if in_full else "", _LIST_TTL_MS)
    text = card.model_dump_json(exclude={"adapters"})
    return Command("worker/register_model", (card.queue, text, *arguments), int)


def withdraw_model(worker: str, model: str, *, most: int = WITHDRAW_BATCH) -> Command[int]:
    """Take a model out of the catalogue that this worker serves no longer, unless another has it.

    Or had it a short time ago: it may be restarting. Otherwise jobs that wait for the model fail
    with `model_gone`, at most so many at once; returns how many did. Those that come back to its
    queue later fail at a sweep.
    """
    return Command("worker/withdraw_model", (worker, model, most), int)


def hold(worker: str, adapters: Iterable[str], *, ttl_s: float) -> Command[int]:
    """This worker has these adapters in memory, by the SHA-256 of their files."""
    return Command("worker/hold", (worker, int(ttl_s * 1000), " ".join(adapters)), int)


def heartbeat(
    worker: str,
    models: Iterable[str],
    *,
    ttl_s: float,
    adapters: str = "",
    failed: Iterable[str] = (),
) -> Command[int]:
    """This worker is alive and serves these models; with none of them, it is leaving.

    `adapters`: the digest of those that it has. `failed`: models that it has too, but which did not
    load just now.
    """
    arguments = (worker, int(ttl_s * 1000), " ".join(models), adapters, " ".join(failed))
    return Command("worker/heartbeat", arguments, int)


def starting(worker: str, models: Iterable[str]) -> Command[int]:
    """This worker is loading these models: nobody withdraws them in the next five minutes."""
    return heartbeat(worker, [], ttl_s=0, failed=models)


def claim(
    worker: str,
    models: Iterable[str],
    *,
    room: int,
    lease_s: float,
    held: int = 0,
    crashed: int = 0,
    begins: bool = False,
    is_full: bool = False,
) -> Command[Claims]:
    """Claim up to `room` jobs for a worker that has `held` already; `crashed`: of those, the jobs
    that a worker died of.

    A suspect, whose worker died, is claimed by a worker that holds no other such job; a quarantined
    one, after a second death, alone by one that has no job. Where there is a row for each, they
    count as begun. One that `is_full` has no room for adapters besides those in its memory. This
    very command, run again, returns the same leases. Raises UnreadableRecord; see `claiming`.
    """

    def read(answer: Sequence[Any]) -> Claims:
        claims, waiting, left_ms = answer
        return Claims(_leases(claims), waiting, left_ms)

    options = {
        "worker": worker,
        "token": secrets.token_hex(8),
        "models": list(models),
        "room": room,
        "lease_ms": int(lease_s * 1000),
        "held": held,
        "crashed": crashed,
        "begins": begins,
        "is_full": is_full,
    }
    return Command("worker/claim", (json.dumps(options),), read)


def find_urgent(
    worker: str,
    models: Iterable[str],
    *,
    within_s: float,
    held: Iterable[Lease],
    is_full: bool = False,
) -> Command[dict[JobRef, JobRef]]:
    """Which of the `held` jobs, the most dispensable first, to exchange for which urgent ones.

    An urgent job is of the same tenant and high priority, and must start `within_s` seconds. A
    worker that `is_full` has no room for adapters besides those in its memory.
    """
    options = {
        "worker": worker,
        "models": list(models),
        "within_ms": int(within_s * 1000),
        "held": [str(lease.ref) for lease in held],
        "is_full": is_full,
    }

    def read(answer: Iterable[Any]) -> dict[JobRef, JobRef]:
        return {JobRef.parse(held): JobRef.parse(waiting) for held, waiting in answer}

    return Command("worker/find_urgent", (json.dumps(options),), read)


def exchange(lease: Lease, urgent: JobRef, *, worker: str, lease_s: float) -> Command[list[Lease]]:
    """Hand an unfinished job back and claim an urgent one; no lease if that is gone by now."""
    options = {
        "worker": worker,
        "lease_ms": int(lease_s * 1000),
        "ref": str(lease.ref),
        "fence": str(lease.fence),
        "urgent": str(urgent),
    }
    return Command("worker/exchange", (json.dumps(options),), _leases)


def renew(leases: Sequence[Lease], *, lease_s: float) -> Command[list[str]]:
    """Extend leases. Returns `held`, `stop` (its cancellation was asked for) or `lost` each."""
    pairs = [part for lease in leases for part in (str(lease.ref), lease.fence)]
    return Command("worker/renew", (int(lease_s * 1000), *pairs), list)


def report_progress(steps: Iterable[tuple[Lease, int, int]]) -> Command[Reported]:
    """Report the latest (lease, step, steps) of several jobs in one message."""
    rows = [part for lease, step, of in steps for part in (str(lease.ref), lease.fence, step, of)]
    return Command("worker/report_progress", (WATCHED_EVERY_MS, *rows), Reported.read)


def publish_preview(lease: Lease, index: int, step: int, jpeg: bytes) -> Command[bool]:
    """Publish a preview, which is not stored. False: the lease is lost."""
    text = base64.b64encode(jpeg).decode()
    return Command("worker/publish_preview", (str(lease.ref), lease.fence, index, step, text), bool)


def add_output(lease: Lease, output: StoredOutput) -> Command[None]:
    """List an output, whose bytes are in storage by now. Raises LeaseLost."""
    args = (str(lease.ref), lease.fence, output.label, output.model_dump_json())
    return Command("worker/add_output", args, _require_lease)


def save_checkpoint(lease: Lease, index: int, saved: bytes, *, budget_bytes: int) -> Command[bool]:
    """Save an unfinished image's checkpoint. False: the budget is spent. Raises LeaseLost."""

    def read(answer: str) -> bool:
        if answer == "lost":
            raise LeaseLost
        return answer == "saved"

    args = (str(lease.ref), lease.fence, index, budget_bytes, saved)
    return Command("worker/save_checkpoint", args, read)


def list_checkpoints(lease: Lease) -> Command[dict[int, bytes]]:
    """The latest checkpoints of its unfinished images, by index."""

    def read(answer: Sequence[bytes]) -> dict[int, bytes]:
        return dict(zip(map(int, answer[::2]), answer[1::2], strict=True))

    return Command("worker/list_checkpoints", (str(lease.ref), lease.fence), read, is_binary=True)


def settle(
    lease: Lease,
    status: JobStatus,
    error: LatentryError | None = None,
    outputs: Iterable[StoredOutput] = (),
    warnings: Sequence[JobWarning] = (),
) -> Command[None]:
    """End a job, with warnings for the caller, and list those of its outputs that are not listed.

    Raises LeaseLost.
    """
    assert status.is_terminal, "a job ends in a terminal state"
    fault = (error.code, error.message) if error else ("", "")
    warned = json.dumps([warning.model_dump() for warning in warnings]) if warnings else ""
    listed = [part for one in outputs for part in (one.label, one.model_dump_json())]
    return Command(
        "worker/settle",
        (str(lease.ref), lease.fence, status.value, *fault, warned, *listed),
        _require_lease,
    )


def release(lease: Lease) -> Command[bool]:
    """Hand an unfinished job back to its old place in its queue. False: it was lost already."""
    return Command("worker/release", (str(lease.ref), lease.fence), bool)


def _leases(claims: Iterable[Any]) -> list[Lease]:
    return [_lease(ref, int(fence), flat) for ref, fence, flat in claims]


def _lease(ref: str, fence: int, flat: Sequence[str]) -> Lease:
    try:
        record = JobRecord.read(ref, flat)
    except (KeyError, ValueError) as error:
        raise UnreadableRecord(ref, fence) from error
    assert record is not None, "a claim always carries its record"
    return Lease(record.ref, fence, record)


def _require_lease(answer: int) -> None:
    if not answer:
        raise LeaseLost
