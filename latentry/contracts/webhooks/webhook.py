"""The webhook of a request."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from latentry.contracts.wire import RequestModel

MAX_URL_CHARS: Final = 2_048

WebhookUrl = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_CHARS)]


class WebhookEvent(StrEnum):
    """The events that a webhook can receive: a job started, or ended in one of four ways."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


# Exactly one of these happens to every job.
ENDS: Final = tuple(event for event in WebhookEvent if event is not WebhookEvent.RUNNING)


class Webhook(RequestModel):
    """A receiver and its events. Notifications are signed as Standard Webhooks specifies."""

    url: WebhookUrl = Field(description="`https://` URL with a public host name, port 443.")
    events: Annotated[list[WebhookEvent], Field(min_length=1, max_length=len(WebhookEvent))] = (
        Field(list(ENDS), description="Events to send; all four ways to end if omitted.")
    )
