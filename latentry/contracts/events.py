"""The events of a job, as the event stream sends them."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from latentry.contracts.jobs import Job, Progress
from latentry.contracts.outputs import Image, Output
from latentry.contracts.wire import ResponseModel


class EventType(StrEnum):
    """The SSE `event:` names. The last four end the stream and carry the whole job."""

    QUEUED = "queued"
    RUNNING = "running"
    STEP = "step"
    PREVIEW = "preview"
    OUTPUT = "output"
    IMAGE = "image"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the stream ends here."""
        return self in _ENDS


_ENDS: Final = frozenset(
    {EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELED, EventType.EXPIRED}
)


class Preview(ResponseModel):
    """A small picture of an unfinished image: a JPEG of at most 128 pixels a side."""

    index: int
    step: int
    url: str = Field(description="The preview itself as a `data:image/jpeg;base64,` URL.")


class Event(ResponseModel):
    """One event of a job. Only the field that belongs to its type is set.

    A stream resumes after the `id` in `Last-Event-ID`. Steps and previews have none and are not
    repeated.
    """

    type: EventType
    id: str | None = None
    position: int | None = None
    progress: Progress | None = None
    preview: Preview | None = None
    image: Image | None = None
    output: Output | None = Field(None, description="Whatever is stored besides the images.")
    job: Job | None = None
