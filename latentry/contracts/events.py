"""What happens to a job, in order: the payloads of the event stream."""

from enum import StrEnum

from latentry.contracts.images import Image
from latentry.contracts.jobs import Job, Progress
from latentry.contracts.wire import Told


class EventType(StrEnum):
    """The SSE `event:` names. The last four end the stream and carry the whole job."""

    QUEUED = "queued"
    RUNNING = "running"
    STEP = "step"
    IMAGE = "image"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the stream ends here."""
        return self not in (EventType.QUEUED, EventType.RUNNING, EventType.STEP, EventType.IMAGE)


class Event(Told):
    """One event. Only the field that belongs to its type is set.

    `id` is what `Last-Event-ID` resumes from; steps have none, because a missed step is of no use.
    """

    type: EventType
    id: str | None = None
    position: int | None = None
    progress: Progress | None = None
    image: Image | None = None
    job: Job | None = None
