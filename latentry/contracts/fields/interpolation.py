"""The way between pictures: keyframes, and the frames between them."""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, Field

from latentry.contracts.fields.adapters.embedding import Embedding
from latentry.contracts.fields.bounds import DEFAULT_FPS, MAX_FPS, MAX_FRAMES
from latentry.contracts.fields.conditioning import PromptSyntax
from latentry.contracts.fields.inputs import InputFile, ResizeMode
from latentry.contracts.fields.templates import Template
from latentry.contracts.outputs import ClipFormat
from latentry.contracts.wire import ResponseModel


class SequenceOutput(StrEnum):
    """What is made of a job's frames: nothing else, or one file of all."""

    FRAMES = "frames"
    WEBP = ClipFormat.WEBP.value
    GIF = ClipFormat.GIF.value
    MP4 = ClipFormat.MP4.value

    @property
    def clip(self) -> ClipFormat | None:
        """The format of that file, if there is one."""
        return None if self is SequenceOutput.FRAMES else ClipFormat(self.value)


class Easing(StrEnum):
    """How fast the way is gone, from its beginning to its end: CSS's words, as parabolas."""

    LINEAR = "linear"
    EASE_IN = "ease_in"
    EASE_OUT = "ease_out"
    EASE_IN_OUT = "ease_in_out"

    def eased(self, t: Fraction) -> Fraction:
        """The part of the way at time t; both from 0 to 1. Exact: a frame may be a keyframe."""
        match self:
            case Easing.EASE_IN:
                return t * t
            case Easing.EASE_OUT:
                return t * (2 - t)
            case Easing.EASE_IN_OUT:
                return 2 * t * t if 2 * t < 1 else 1 - 2 * (1 - t) ** 2
            case _:
                return t


class Keyframe(ResponseModel):
    """What the pictures of an interpolation may differ in. All else is equal along the way."""

    prompt: str = ""
    negative_prompt: str = ""
    prompt_syntax: PromptSyntax = PromptSyntax.WEIGHTED
    template: Template | None = None
    clip_skip: int | None = None
    embeddings: tuple[Embedding, ...] = ()
    guidance_scale: float
    guidance_rescale: float = 0.0
    original_size: tuple[int, int] | None = None
    crops_coords_top_left: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    seed: int
    variation_seed: int | None = None
    variation_strength: float = 0.0
    image: InputFile | None = None
    resize_mode: ResizeMode = ResizeMode.STRETCH

    @classmethod
    def of(cls, request: BaseModel) -> "Keyframe":
        """What a resolved request says of it."""
        return cls.model_validate({name: getattr(request, name) for name in cls.model_fields})

    def fields(self) -> dict[str, Any]:
        """Its fields as they are, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Interpolation(ResponseModel):
    """Where the way of a request's frames leads; it begins with the request's own picture.

    fps: of the clip, if there is one.
    """

    via: tuple[Keyframe, ...] = ()
    to: Keyframe
    easing: Easing = Easing.LINEAR
    output: SequenceOutput = SequenceOutput.FRAMES
    fps: int = DEFAULT_FPS

    @property
    def keyframes(self) -> tuple[Keyframe, ...]:
        """Those after the first."""
        return (*self.via, self.to)

    def place(self, index: int, frames: int) -> tuple[int, float]:
        """Where the frame is: after which keyframe, and which part of the way to the next one.

        From 0 to below 1; 0 is the keyframe itself.
        """
        ways = len(self.via) + 1
        at = ways * self.easing.eased(Fraction(index, frames - 1))
        keyframe = int(at)
        return keyframe, float(at - keyframe)


Frames = Annotated[
    int,
    Field(
        strict=True,
        ge=2,
        le=MAX_FRAMES,
        description="Number of frames, the pictures of `from` and `to` included.",
    ),
]
EasingOption = Annotated[
    Easing,
    Field(
        description="`linear`: equal steps. `ease_in` begins slowly, `ease_out` ends slowly, "
        "`ease_in_out` both."
    ),
]
OutputOption = Annotated[
    SequenceOutput,
    Field(
        description="`webp`, `gif` or `mp4` also makes one file of all frames, of those that the "
        "model's `limits.clips` has. `frames`: none."
    ),
]
Fps = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=MAX_FPS)] | None,
    Field(description=f"Frames per second of that file; {DEFAULT_FPS} if omitted."),
]
