"""Jobs in the ledger: new, stored and ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from latentry.contracts import (
    AnyRequest,
    JobError,
    JobStatus,
    JobWarning,
    Priority,
    Progress,
    StoredOutput,
    Webhook,
)
from latentry.contracts.any_request import read_request
from latentry.contracts.fields.safety import ImageRule
from latentry.ledger.accounts import Account, Applied
from latentry.ledger.files import FileRef
from latentry.ledger.refs import JobRef
from latentry.rules.pricing import Price
from latentry.rules.sequences.frames import files


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to create. Times in milliseconds; a `_within_ms` of 0 sets no bound.

    `weight`: its tenant's share of the workers, in relation to others'. `image_rules`: on its
    pictures. `applied`: the rules that its prompts met, and what each did. `notify_as`: whose
    notifications its webhook gets, such as another API's; empty for ours.
    """

    ref: JobRef
    request: AnyRequest
    queue_ttl_ms: int
    ttl_ms: int
    idempotency_key: str = ""
    body_hash: str = ""
    price: Price = field(default_factory=Price)
    weight: int = 1
    priority: Priority = Priority.NORMAL
    start_within_ms: int = 0
    finish_within_ms: int = 0
    account: Account = field(default_factory=Account)
    webhook: Webhook | None = None
    receiver: str = ""  # tenant@host:port of the webhook
    notify_as: str = ""
    warnings: tuple[JobWarning, ...] = ()
    image_rules: tuple[ImageRule, ...] = ()
    applied: tuple[Applied, ...] = ()

    @property
    def files(self) -> dict[str, str]:
        """The refs of the files that it pins, by the names of their fields."""
        named = files(self.request)
        return {
            name: str(FileRef(self.ref.tenant, one.file)) for name, one in named.items() if one.file
        }

    @property
    def extras(self) -> dict[str, Any]:
        """What few jobs have, as the ledger keeps it; nothing of what this one has not."""
        found: dict[str, Any] = {"applied": self.applied} if self.applied else {}
        if self.webhook is not None:
            kind = {"notify_as": self.notify_as} if self.notify_as else {}
            whole = self.webhook.model_dump() | {"receiver": self.receiver} | kind
            found["webhook"] = json.dumps(whole)
        if self.warnings:
            found["warnings"] = json.dumps([one.model_dump() for one in self.warnings])
        if self.image_rules:
            found["image_rules"] = json.dumps([one.model_dump() for one in self.image_rules])
        return found


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as it stands. Times are Unix milliseconds by the ledger's clock.

    `claims`: how often a worker claimed it. `reached`: the furthest step reported before it came
    back to its queue. `crashes`: workers that died while they ran it, since it last got further.
    `image_rules`: on its pictures. `position`: among its tenant's own. `start_ms`: when it may
    start, by what waits and runs now.
    """

    ref: JobRef
    state: JobStatus
    request: AnyRequest
    sequence: int
    created_ms: int
    fence: int = 0
    claims: int = 0
    crashes: int = 0
    priority: Priority = Priority.NORMAL
    price: Price = field(default_factory=Price)
    finish_by_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    outputs: tuple[StoredOutput, ...] = ()
    error: JobError | None = None
    warnings: tuple[JobWarning, ...] = ()
    image_rules: tuple[ImageRule, ...] = ()
    progress: Progress | None = None
    reached: int = 0
    position: int | None = None
    start_ms: int | None = None
    stopping: bool = False
    notify_as: str = ""

    @property
    def images(self) -> tuple[StoredOutput, ...]:
        """The final pictures."""
        return tuple(output for output in self.outputs if output.is_picture)

    @property
    def queue_ms(self) -> int | None:
        """From accepted to first claimed."""
        return None if self.started_ms is None else self.started_ms - self.created_ms

    @property
    def run_ms(self) -> int | None:
        """From first claimed to its end."""
        if self.started_ms is None or self.finished_ms is None:
            return None
        return self.finished_ms - self.started_ms

    @classmethod
    def created(cls, job: NewJob, sequence: int, now_ms: int, position: int, wait_ms: int) -> Self:
        """The record of a job that was created just now."""
        return cls(
            ref=job.ref,
            state=JobStatus.QUEUED,
            request=job.request,
            sequence=sequence,
            created_ms=now_ms,
            priority=job.priority,
            price=job.price,
            finish_by_ms=now_ms + job.finish_within_ms if job.finish_within_ms else None,
            warnings=job.warnings,
            image_rules=job.image_rules,
            position=position,
            start_ms=now_ms + wait_ms if wait_ms >= 0 else None,
        )

    @classmethod
    def read(
        cls, ref: str, flat: Sequence[str], position: int = -1, start_ms: int = -1
    ) -> Self | None:
        """A record from HGETALL's answer, or None if that is empty."""
        if not flat:
            return None
        row = dict(zip(flat[::2], flat[1::2], strict=True))
        listed = [row[name] for name in row if name.startswith("output:")]
        outputs = map(StoredOutput.model_validate_json, listed)
        failed = row.get("error_code")
        return cls(
            ref=JobRef.parse(ref),
            state=JobStatus(row["state"]),
            request=read_request(row["request"]),
            sequence=int(row["sequence"]),
            created_ms=int(row["created_ms"]),
            fence=int(row["fence"]),
            claims=int(row["claims"]),
            crashes=int(row["crashes"]),
            priority=Priority(row["priority"]),
            price=_price(row),
            finish_by_ms=_int(row.get("finish_by_ms")),
            started_ms=_int(row.get("started_ms")),
            finished_ms=_int(row.get("finished_ms")),
            outputs=tuple(sorted(outputs, key=lambda output: output.place)),
            error=JobError(code=failed, message=row["error_message"]) if failed else None,
            warnings=tuple(JobWarning(**w) for w in json.loads(row.get("warnings", "[]"))),
            image_rules=tuple(ImageRule(**r) for r in json.loads(row.get("image_rules", "[]"))),
            progress=Progress(step=int(row["step"]), steps=int(row["steps"]))
            if "step" in row
            else None,
            reached=int(row.get("reached", 0)),
            position=position if position >= 0 else None,
            start_ms=start_ms if start_ms >= 0 else None,
            stopping="stop" in row,
            notify_as=_notify_as(row.get("webhook")),
        )


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended, for the gateway that counts it; the times are None unless it ran."""

    ref: JobRef
    status: JobStatus
    model: str
    code: str
    queue_ms: int | None = None
    run_ms: int | None = None

    @classmethod
    def read(cls, row: dict[str, Any]) -> Self:
        """From one row that `take_ends` returns; fields of later versions are ignored."""
        return cls(
            ref=JobRef.parse(row["ref"]),
            status=JobStatus(row["status"]),
            model=row["model"],
            code=row["code"],
            queue_ms=row.get("queue_ms"),
            run_ms=row.get("run_ms"),
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to `create`: the new job, or the one that has its idempotency key.

    `record`: the job as it stands; None unless this very call created it.
    """

    ref: JobRef
    is_new: bool
    record: JobRecord | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class WaitEstimate:
    """The answer to `estimate`. `wait_ms` is None if no worker serves or has measured the model."""

    now_ms: int
    wait_ms: int | None


def _price(row: Mapping[str, str]) -> Price:
    return Price(
        step_megapixels=float(row["step_megapixels"]),
        cost_ms=int(row["cost_ms"]),
        seats=int(row["seats"]),
        images=int(row["n"]),
    )


def _notify_as(webhook: str | None) -> str:
    found: str = json.loads(webhook).get("notify_as", "") if webhook else ""
    return found


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
