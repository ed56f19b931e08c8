"""The cost of a request and its estimated start."""

from datetime import datetime

from pydantic import Field

from latentry.contracts.wire import ResponseModel


class Cost(ResponseModel):
    """The cost of a request in units of work and in worker time."""

    step_megapixels: float = Field(
        description="Megapixels × UNet calls × images; calls without guidance count half, and each "
        "intermediate counts as a call."
    )
    worker_seconds: float | None = Field(
        None, description="Seconds of one worker; null until a worker has been measured."
    )


class Estimate(ResponseModel):
    """The answer to a `dry_run` that would be accepted. No job was created."""

    cost: Cost
    estimated_wait_s: float | None = Field(
        None,
        description="Seconds until the job would start; null while no worker of the model is live.",
    )
    estimated_start_at: datetime | None = None
