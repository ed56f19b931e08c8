"""A request with an id, a state and a history, as a client sees it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from latentry.contracts.fields import Priority
from latentry.contracts.outputs import Image
from latentry.contracts.pricing import Cost
from latentry.contracts.requests import ResolvedRequest
from latentry.contracts.wire import ResponseModel


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
        """Whether nothing can happen to such a job any more."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class JobError(ResponseModel):
    """Why a job failed: a code for machines, a sentence for people."""

    code: str
    message: str


class JobWarning(ResponseModel):
    """Something the caller should know about a job that went on all the same."""

    code: str
    message: str


class Progress(ResponseModel):
    """The latest step of the image that is furthest behind."""

    step: int = Field(ge=0)
    steps: int = Field(ge=1)


class JobUrls(ResponseModel):
    """Where to read, watch and cancel the job. Absolute."""

    self: str
    events: str
    cancel: str


class Job(ResponseModel):
    """The one answer about a job, whoever asks and however."""

    id: str
    status: JobStatus
    request: ResolvedRequest
    images: list[Image] = Field(default_factory=list)
    error: JobError | None = None
    warnings: list[JobWarning] = Field(default_factory=list)
    progress: Progress | None = None
    priority: Priority = Priority.NORMAL
    cost: Cost | None = None
    queue_position: int | None = Field(
        None, description="Among your own jobs for this model: 0 is your next. Null once it left."
    )
    estimated_start_at: datetime | None = Field(
        None,
        description="By what waits and runs now. Null once it left the line, and while no worker of"
        " the model is live or measured.",
    )
    finish_by: datetime | None = Field(None, description="When it expires, waiting or running.")
    queue_ms: int | None = Field(None, description="From accepted to first claimed by a worker.")
    run_ms: int | None = Field(None, description="From first claimed to the terminal state.")
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    urls: JobUrls


class JobList(ResponseModel):
    """One page of jobs, newest first."""

    data: list[Job]
    next_cursor: str | None = Field(None, description="Pass as `cursor`; null on the last page.")
