"""A clip: how many frames a motion module draws together, and how they are put into a file."""

from typing import Annotated

from pydantic import Field

from latentry.contracts.fields.bounds import MAX_CLIP_FRAMES
from latentry.contracts.wire import ResponseModel


class Clip(ResponseModel):
    """`frames` pictures, each of which knows the others, shown for 1/`fps` seconds each."""

    frames: int
    fps: int


Frames = Annotated[
    Annotated[int, Field(strict=True, ge=2, le=MAX_CLIP_FRAMES)] | None,
    Field(
        description="Number of frames, drawn together; the model's most (`limits.max_frames`) or "
        "16, whichever is less, if omitted."
    ),
]
