"""What API keys have used."""

from datetime import date

from pydantic import Field

from latentry.contracts.wire import ResponseModel


class Usage(ResponseModel):
    """One key on one day (UTC); a job counts on the day it ended."""

    day: date
    key: str = Field(description="The key's id; `-` where none was asked for.")
    jobs: dict[str, int] = Field(description="How many ended in which state.")
    images: int = Field(description="Pictures made.")
    step_megapixels: float = Field(
        description="What the pictures that were made cost, as `dry_run` tells it."
    )


class UsageList(ResponseModel):
    """Days on which something ended, the oldest first."""

    data: list[Usage]
