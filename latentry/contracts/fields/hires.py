"""Hires fix: a second pass over the image at a larger size."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from latentry.contracts.fields.bounds import MAX_SIDE_PX, MAX_STEPS
from latentry.contracts.wire import RequestModel, ResponseModel

MAX_SCALE: Final = 4.0


class Upscaler(StrEnum):
    """How the first pass becomes as large as the second."""

    LATENT = "latent"  # the latent, bilinearly: AUTOMATIC1111's "Latent"
    LANCZOS = "lanczos"  # the decoded picture, which is encoded again


class Hires(ResponseModel):
    """The second pass with every omitted field filled in. Sizes in pixels."""

    width: int
    height: int
    steps: int
    strength: float
    upscaler: Upscaler = Upscaler.LATENT

    @property
    def made_steps(self) -> int:
        """How many of its steps are made, rounded as diffusers rounds."""
        return min(int(self.steps * self.strength), self.steps)


_Side = Annotated[int, Field(strict=True, ge=64, le=MAX_SIDE_PX, multiple_of=8)]


class WantedHires(RequestModel):
    """A second pass: `scale`, or `width` and `height`, and how it is made."""

    scale: Annotated[float, Field(strict=True, gt=1, le=MAX_SCALE)] | None = Field(
        None,
        description="Times the first pass's size; sides are rounded to what the model supports.",
    )
    width: _Side | None = Field(None, description="Width of the result, instead of `scale`.")
    height: _Side | None = Field(None, description="Height of the result, instead of `scale`.")
    steps: Annotated[int, Field(strict=True, ge=1, le=MAX_STEPS)] | None = Field(
        None,
        description="Number of steps that `strength` is a fraction of; `num_inference_steps` if"
        " omitted.",
    )
    strength: float = Field(
        0.7,
        strict=True,
        gt=0,
        le=1,
        description="How much of the first pass may change: the fraction of the steps that is"
        " made.",
    )
    upscaler: Upscaler = Field(
        Upscaler.LATENT,
        description="`latent` enlarges the latent; `lanczos` the decoded picture, which is encoded"
        " again.",
    )

    @model_validator(mode="after")
    def _one_size(self) -> "WantedHires":
        has_scale = self.scale is not None
        if has_scale == (self.width is not None) or has_scale == (self.height is not None):
            raise PydanticCustomError("contradiction", "Give either scale, or width and height")
        return self


HiresOption = Annotated[
    WantedHires | None,
    Field(
        description="Hires fix: a second pass at a larger size, {scale, or width and height; "
        "steps; strength; upscaler}. `width` and `height` of the request are the first pass's."
    ),
]
