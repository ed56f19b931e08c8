"""Webhook notifications and their deliveries."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from latentry.contracts.jobs import Job
from latentry.contracts.webhooks.webhook import WebhookEvent
from latentry.contracts.wire import Listing, ResponseModel


class Notification(ResponseModel):
    """The body sent to a webhook receiver. Its id, `webhook-id`, is the same on every retry."""

    type: str = Field(description="`generation.` and the event.")
    timestamp: datetime = Field(description="When the event occurred.")
    data: Job


class DeliveryStatus(StrEnum):
    """`waiting → delivered | exhausted | disabled | blocked`; a redelivery starts again."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    DISABLED = "disabled"
    BLOCKED = "blocked"


class Attempt(ResponseModel):
    """One delivery attempt. Without `status` the receiver did not respond; `error` says why."""

    number: int
    at: datetime = Field(description="When the attempt ended.")
    duration_ms: int
    status: int | None = None
    error: str | None = None


class Delivery(ResponseModel):
    """The delivery of one notification. Its id is the `webhook-id` header."""

    id: str
    event: WebhookEvent
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = None
    attempts: list[Attempt] = Field(
        default_factory=list, description="The latest attempts, oldest first."
    )


class DeliveryList(Listing[Delivery]):
    """A job's deliveries, in the order of their events."""
