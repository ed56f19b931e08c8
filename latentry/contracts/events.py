"""What happens to a job, in order: the payloads of the event stream."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from latentry.contracts.jobs import Job, Progress
from latentry.contracts.outputs import Image
from latentry.contracts.wire import ResponseModel


class EventType(StrEnum):
    """The SSE `event:` names. The last four end the stream and carry the whole job."""

    QUEUED = "queued"
    RUNNING = "running"
    STEP = "step"
    PREVIEW = "preview"
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
    """What an image looks like after a step: a JPEG of at most 128 pixels a side."""

    index: int
    step: int
    url: str = Field(description="The picture itself, as a `data:image/jpeg;base64,` URI.")


class Event(ResponseModel):
    """One event. Only the field that belongs to its type is set.

    `id` is what `Last-Event-ID` resumes from; steps and previews have none: missed, they are of no
    use.
    """

    type: EventType
    id: str | None = None
    position: int | None = None
    progress: Progress | None = None
    preview: Preview | None = None
    image: Image | None = None
    job: Job | None = None
