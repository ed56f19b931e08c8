"""Several requests in one body, and what became of each: `POST /v1/generations:batch`."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from latentry.contracts.jobs import Job
from latentry.contracts.pricing import Estimate
from latentry.contracts.problems import Problem
from latentry.contracts.wire import Listing, RequestModel, ResponseModel

MAX_REQUESTS: Final = 64


class Batch(RequestModel):
    """Requests that are accepted or refused each by itself, in their order."""

    requests: Annotated[
        tuple[dict[str, Any], ...],
        Field(
            min_length=1,
            max_length=MAX_REQUESTS,
            description="Bodies of `POST /v1/generations`, `dry_run` included.",
        ),
    ]


class BatchItem(ResponseModel):
    """What became of one request: one of a job, an estimate and a problem."""

    index: int
    status: int = Field(description="The status that the request alone would have had.")
    job: Job | None = None
    estimate: Estimate | None = Field(None, description="If it was a `dry_run`.")
    problem: Problem | None = None
    retry_after_s: int | None = Field(
        None, description="What `Retry-After` would have said of the request alone."
    )


class BatchResult(Listing[BatchItem]):
    """One item for each request, in their order."""

    object: Literal["list"] = "list"
