"""What a receiver is told, and what became of telling it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from latentry.contracts.jobs import Job
from latentry.contracts.webhooks import WebhookEvent
from latentry.contracts.wire import ResponseModel


class Notice(ResponseModel):
    """The body that a receiver gets. Its id, `webhook-id`, is the same on every retry."""

    type: str = Field(description="`generation.` and the event.")
    timestamp: datetime = Field(description="When it happened.")
    data: Job


class DeliveryStatus(StrEnum):
    """`waiting → delivered | exhausted | disabled | blocked`; a redelivery begins anew."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    DISABLED = "disabled"
    BLOCKED = "blocked"


class Attempt(ResponseModel):
    """One try. Without a status the receiver did not answer; `error` says in what way."""

    number: int
    at: datetime = Field(description="When it was over.")
    duration_ms: int
    status: int | None = None
    error: str | None = None


class Delivery(ResponseModel):
    """One notice on its way. Its id is the notice's `webhook-id`."""

    id: str
    event: WebhookEvent
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = None
    attempts: list[Attempt] = Field(default_factory=list, description="The latest, oldest first.")


class DeliveryList(ResponseModel):
    """A job's deliveries, in the order in which their events happened."""

    data: list[Delivery]
