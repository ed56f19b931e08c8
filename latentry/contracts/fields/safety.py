"""Rules on pictures, and what became of a picture by them."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from latentry.contracts.wire import ResponseModel

RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class ImageAction(StrEnum):
    """What becomes of a picture, from the mildest to the strictest."""

    NONE = "none"  # only its scores are told
    FLAG = "flag"  # it is counted
    BLUR = "blur"  # a blurred picture is stored in its place
    BLOCK = "block"  # nothing is stored

    @property
    def severity(self) -> int:
        """Greater is stricter."""
        return list(ImageAction).index(self)

    @property
    def hides(self) -> bool:
        """Whether the picture itself may not be seen."""
        return self in (ImageAction.BLUR, ImageAction.BLOCK)


class ImageRule(ResponseModel):
    """What is done with a picture whose score of this label reaches the threshold.

    `charge`: whether a picture that it blocks costs the caller what it would have cost.
    """

    name: RuleName
    label: str
    threshold: float
    action: ImageAction
    reason: str
    charge: bool = False


class Safety(ResponseModel):
    """What a classifier says of a picture, and what was done about it."""

    labels: list[str] = Field(description="The labels whose scores reached a rule's threshold.")
    scores: dict[str, float] = Field(description="The score of each label, from 0 to 1.")
    action: ImageAction = Field(
        description="`none`, `flag`; `blur`: the stored picture is blurred; `block`: there is none."
    )
