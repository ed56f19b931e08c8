"""A clip: how many frames a motion module draws together, and how they are put into a file."""

from typing import Annotated

from pydantic import Field

from latentry.contracts.fields.bounds import DEFAULT_FPS, MAX_CLIP_FRAMES
from latentry.contracts.fields.interpolation import SequenceOutput
from latentry.contracts.wire import ResponseModel


class Clip(ResponseModel):
    """How many pictures a motion module draws together, and the file of all, if that is asked."""

    frames: int
    output: SequenceOutput = SequenceOutput.FRAMES
    fps: int = DEFAULT_FPS


Frames = Annotated[
    Annotated[int, Field(strict=True, ge=2, le=MAX_CLIP_FRAMES)] | None,
    Field(
        description="Number of frames, drawn together; the model's most (`limits.max_frames`) or "
        "16, whichever is less, if omitted."
    ),
]
