"""A job: a request with an id, a state and a history, as a client sees it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from latentry.contracts.any_request import AnyRequest
from latentry.contracts.fields.job import JobKind, Priority
from latentry.contracts.outputs import Image, Output
from latentry.contracts.pricing import Cost
from latentry.contracts.problems import JobError
from latentry.contracts.wire import Listing, ResponseModel


class JobStatus(StrEnum):
    """`queued → running → succeeded | failed | canceled | expired`; the last four never change."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether a job in this state never changes again."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class JobWarning(ResponseModel):
    """What was not done as requested, although the job continued."""

    code: str
    message: str


class Progress(ResponseModel):
    """The latest step of the image with the fewest steps done."""

    step: int = Field(ge=0)
    steps: int = Field(ge=0)


class JobUrls(ResponseModel):
    """Absolute URLs to read, follow and cancel the job."""

    self: str
    events: str
    cancel: str


class Job(ResponseModel):
    """A job, in the same shape wherever it is returned."""

    id: str
    kind: JobKind = JobKind.GENERATION
    status: JobStatus
    request: AnyRequest
    images: list[Image] = Field(default_factory=list)
    outputs: list[Output] = Field(
        default_factory=list,
        description="All that the job stored, image by image: its steps in order, where "
        "`intermediates` asked for them, then the finished image.",
    )
    caption: str | None = Field(
        None,
        repr=False,
        description="What the picture of a caption shows; else left out.",
        exclude_if=lambda caption: caption is None,
    )
    error: JobError | None = None
    warnings: list[JobWarning] = Field(default_factory=list)
    progress: Progress | None = None
    priority: Priority = Priority.NORMAL
    cost: Cost | None = None
    queue_position: int | None = Field(
        None,
        description="Place among your queued jobs for this model; 0 is next. Null once started.",
    )
    estimated_start_at: datetime | None = Field(
        None,
        description="Estimated from the jobs queued and running now. Null once started, and while"
        " no worker of the model is live or measured.",
    )
    finish_by: datetime | None = Field(None, description="When the job expires, queued or running.")
    queue_ms: int | None = Field(
        None, description="Milliseconds from submission to the first claim by a worker."
    )
    run_ms: int | None = Field(
        None, description="Milliseconds from the first claim to the terminal state."
    )
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    urls: JobUrls

    @property
    def done(self) -> bool:
        """Whether the job has ended, successful or not."""
        return self.status.is_terminal


class JobList(Listing[Job]):
    """One page of jobs, newest first."""

    next_cursor: str | None = Field(
        None, description="Pass as `cursor` for the next page; null on the last."
    )
    count: int | None = Field(
        None, description="How many jobs match, with `count=true`; of the 10,000 newest."
    )
