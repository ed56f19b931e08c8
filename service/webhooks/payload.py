"""A webhook's body and headers: the job as GET returns it, signed as Standard Webhooks specifies.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel
from standardwebhooks import Webhook

from latentry.contracts import JobWarning, Notification
from latentry.ledger import JobRecord
from latentry.ledger.deliveries import DueDelivery
from service.jobs.views import Views

_REMOVED: Final = JobWarning(
    code="pictures_removed",
    message="The job expired and its pictures were removed before this webhook was delivered.",
)
# What another API's notifications are, by the name of the API.
Bodies = Mapping[str, Callable[[JobRecord], Awaitable[BaseModel]]]


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """A body and the headers that sign it."""

    body: bytes
    headers: dict[str, str]


async def signed(
    due: DueDelivery, views: Views, secrets: Sequence[str], bodies: Bodies
) -> SignedPayload:
    """The payload of a delivery, its picture URLs signed now, with a signature for each secret.

    Raises StorageUnavailable.
    """
    text = (await _body(due, views, bodies)).model_dump_json()
    # The ledger's clock: receivers refuse timestamps that are minutes off, and ours may be.
    at = datetime.fromtimestamp(due.now_ms // 1000, UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "latentry",
        "webhook-id": due.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(due.id, at, text) for key in secrets),
    }
    return SignedPayload(text.encode(), headers)


async def _body(due: DueDelivery, views: Views, bodies: Bodies) -> BaseModel:
    record = due.record if due.is_job_known else _without_pictures(due.record)
    if other := bodies.get(record.notify_as):
        return await other(record)
    return Notification(
        type=f"generation.{due.event}",
        timestamp=datetime.fromtimestamp(due.made_ms / 1000, UTC),
        data=await views.job(record),
    )


def _without_pictures(record: JobRecord) -> JobRecord:
    return replace(record, outputs=(), warnings=(*record.warnings, _REMOVED))
