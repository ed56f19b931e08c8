"""Whom to tell what of a job."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from latentry.contracts.wire import RequestModel

MAX_URL_CHARS: Final = 2_048

WebhookUrl = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_CHARS)]


class WebhookEvent(StrEnum):
    """What a receiver may be told of: that a job began, and how it ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


# Every way to end: one of them comes for every job.
ENDS: Final = tuple(event for event in WebhookEvent if event is not WebhookEvent.RUNNING)


class Webhook(RequestModel):
    """A receiver and what it wants to hear, signed as Standard Webhooks says."""

    url: WebhookUrl = Field(description="`https://`, a public host name, port 443.")
    events: Annotated[list[WebhookEvent], Field(min_length=1, max_length=len(WebhookEvent))] = (
        Field(list(ENDS), description="All ways to end if left out.")
    )
