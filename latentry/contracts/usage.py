"""The usage of API keys."""

from datetime import date

from pydantic import Field

from latentry.contracts.wire import Listing, ResponseModel


class Usage(ResponseModel):
    """The usage of one key on one day (UTC); a job counts on the day it ended."""

    day: date
    key: str = Field(description="Id of the key; `-` where none was required.")
    jobs: dict[str, int] = Field(description="Number of jobs that ended in each state.")
    images: int = Field(description="Number of images generated.")
    rules: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="How often each rule of the service did what, by the rule's name: `refuse`,"
        " `append` or `flag` to a request, `flag`, `blur` or `block` to a picture.",
    )
    step_megapixels: float = Field(
        description="Cost of the images generated, in the unit of `dry_run`."
    )


class UsageList(Listing[Usage]):
    """Usage by day and key, oldest first; days without jobs are left out."""
