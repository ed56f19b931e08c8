"""Webhook deliveries: which are due, how they went, and the secrets that sign them.

The script that changes a job's state enters them too (`lua/prelude/deliveries.lua`), so that none
is forgotten.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any, Self

from latentry.contracts import DeliveryStatus, WebhookEvent
from latentry.ledger.connection import Command
from latentry.ledger.jobs import JobRecord
from latentry.ledger.refs import JobRef


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One delivery to send now. `made_ms` and `now_ms` are by the ledger's clock."""

    name: str
    id: str
    url: str
    receiver: str
    attempt: int
    tries: int  # attempts since it was entered or redelivered, this one included
    snapshot: str = field(repr=False)
    is_job_known: bool
    made_ms: int
    now_ms: int

    @property
    def event(self) -> WebhookEvent:
        """The event that it tells of."""
        return WebhookEvent(self.name.rpartition(":")[2])

    @property
    def ref(self) -> JobRef:
        """Its job."""
        return JobRef.parse(self.name.rpartition(":")[0])

    @property
    def record(self) -> JobRecord:
        """The job as it stood when the delivery was entered."""
        record = JobRecord.read(str(self.ref), json.loads(self.snapshot))
        assert record is not None, "a delivery is entered with its job"
        return record

    @classmethod
    def read(cls, name: str, flat: Sequence[str], is_job_known: int, now_ms: int) -> Self:
        """From one row that `take` returns."""
        row = dict(zip(flat[::2], flat[1::2], strict=True))
        attempt = int(row["attempts"])
        return cls(
            name=name,
            id=row["id"],
            url=row["url"],
            receiver=row["receiver"],
            attempt=attempt,
            tries=attempt - int(row["first"]),
            snapshot=row["record"],
            is_job_known=bool(is_job_known),
            made_ms=int(row["made_ms"]),
            now_ms=int(now_ms),
        )


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """How one attempt went. Of the answer only the status is kept."""

    number: int
    at_ms: int
    duration_ms: int
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One delivery as it stands."""

    id: str
    event: WebhookEvent
    state: DeliveryStatus
    made_ms: int
    due_ms: int | None
    attempts: tuple[AttemptRecord, ...]

    @classmethod
    def read(cls, event: str, flat: Sequence[str], due_ms: str) -> Self:
        """From one row that `list_deliveries` returns."""
        row = dict(zip(flat[::2], flat[1::2], strict=True))
        log = [_attempt(name, row[name]) for name in row if name.startswith("attempt:")]
        return cls(
            id=row["id"],
            event=WebhookEvent(event),
            state=DeliveryStatus(row["state"]),
            made_ms=int(row["made_ms"]),
            due_ms=int(float(due_ms)) if due_ms else None,
            attempts=tuple(sorted(log, key=lambda attempt: attempt.number)),
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many deliveries a gateway sends at once: in all, to one receiver, for one tenant."""

    all: int
    receiver: int
    tenant: int


def take(
    capacity: Capacity, *, busy: Mapping[str, int], lease_s: float
) -> Command[list[DueDelivery]]:
    """Due deliveries: what the capacity allows, less those that this gateway sends already."""
    left = capacity.all - sum(busy.values())
    args = (int(lease_s * 1000), left, capacity.receiver, capacity.tenant, json.dumps(dict(busy)))

    def read(answer: Iterable[Any]) -> list[DueDelivery]:
        return [DueDelivery.read(*row) for row in answer]

    return Command("deliveries/take", args, read)


def report(
    due: DueDelivery,
    to: DeliveryStatus,
    *,
    duration_ms: int,
    status: int | None = None,
    error: str | None = None,
    retry_s: float = 0,
) -> Command[bool]:
    """What became of an attempt; `waiting` asks for another. False: the delivery has ended."""
    log = json.dumps({"duration_ms": duration_ms, "status": status, "error": error})
    args = (due.name, due.attempt, to.value, int(retry_s * 1000), log)
    return Command("deliveries/report", args, bool)


def list_deliveries(ref: JobRef) -> Command[list[DeliveryRecord]]:
    """A job's deliveries, in the order in which they were entered."""

    def read(answer: Iterable[Any]) -> list[DeliveryRecord]:
        found = [DeliveryRecord.read(*row) for row in answer]
        return sorted(found, key=lambda delivery: delivery.made_ms)

    return Command("deliveries/list_deliveries", (str(ref),), read)


def redeliver(ref: JobRef, event: WebhookEvent) -> Command[bool]:
    """Send it again, from now on and by the whole schedule. False: there is no such delivery."""
    return Command("deliveries/redeliver", (str(ref), event.value), bool)


def measure_backlog() -> Command[tuple[int, int]]:
    """How many wait, and the age of the oldest in ms."""
    return Command(
        "deliveries/measure_backlog", (), lambda answer: (int(answer[0]), int(answer[1]))
    )


def new_secret() -> str:
    """A secret that signs deliveries: 256 bits, written as Standard Webhooks does."""
    return "whsec_" + base64.b64encode(token_bytes(32)).decode()


def list_secrets(tenant: str, *, fresh: str) -> Command[list[str]]:
    """The secrets that sign a tenant's deliveries, newest first; `fresh` if there was none."""
    return Command("deliveries/list_secrets", (tenant, fresh), list)


def rotate_secret(tenant: str, secret: str, *, keep_s: float) -> Command[int]:
    """Sign with this secret from now on, and with the older ones for a while."""
    return Command("deliveries/rotate_secret", (tenant, secret, int(keep_s * 1000)), int)


def _attempt(name: str, text: str) -> AttemptRecord:
    at_ms, _, log = text.partition(" ")
    return AttemptRecord(number=int(name.partition(":")[2]), at_ms=int(at_ms), **json.loads(log))
