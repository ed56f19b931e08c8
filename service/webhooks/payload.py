"""One notice as it goes out: the job as GET answers it, signed as Standard Webhooks says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from latentry.contracts import JobWarning, Notice
from latentry.ledger import JobRecord
from latentry.ledger.deliveries import DueDelivery
from service.jobs.views import Views

_REMOVED: Final = JobWarning(
    code="pictures_removed",
    message="The job and its pictures had their time before this notice could be delivered.",
)


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """A body and what goes with it."""

    body: bytes
    headers: dict[str, str]


async def write(due: DueDelivery, views: Views, secrets: Sequence[str]) -> SignedPayload:
    """The notice with its URLs signed now. Raises StorageUnavailable."""
    record = due.record if due.is_job_known else _without_pictures(due.record)
    notice = Notice(
        type=f"generation.{due.event}",
        timestamp=datetime.fromtimestamp(due.made_ms / 1000, UTC),
        data=await views.job(record),
    )
    text = notice.model_dump_json()
    # By the ledger's clock: receivers refuse what is minutes off, and ours may be.
    at = datetime.fromtimestamp(due.now_ms // 1000, UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "latentry",
        "webhook-id": due.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(due.id, at, text) for key in secrets),
    }
    return SignedPayload(text.encode(), headers)


def _without_pictures(record: JobRecord) -> JobRecord:
    return replace(record, outputs=(), warnings=(*record.warnings, _REMOVED))
