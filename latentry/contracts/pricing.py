"""What a request costs, and when it would start."""

from datetime import datetime

from pydantic import Field

from latentry.contracts.wire import ResponseModel


class Cost(ResponseModel):
    """What a request costs, in units of work and in a worker's time."""

    step_megapixels: float = Field(
        description="Megapixels times UNet calls times images; calls without guidance count half."
    )
    worker_seconds: float | None = Field(
        None, description="The time it takes of one worker; null until a worker was measured."
    )


class Estimate(ResponseModel):
    """The answer to a `dry_run`: it would be accepted. Nothing was entered."""

    cost: Cost
    estimated_wait_s: float | None = Field(
        None, description="Until it would start; null while no worker of the model is live."
    )
    estimated_start_at: datetime | None = None
