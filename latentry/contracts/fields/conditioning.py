"""What conditions the UNet: the prompts and SDXL's sizes."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from latentry.contracts.fields.bounds import MAX_CLIP_SKIP, MAX_EXTENT_PX, MAX_PROMPT_CHARS


class PromptSyntax(StrEnum):
    """`weighted`: AUTOMATIC1111's `(word:1.3)`, `[word]`, `BREAK`, `[from:to:0.5]`, `[a|b]` and
    `AND`. `plain`: literal text.

    `dynamic`: wildcards and variants are drawn at admission; what they give is weighted.
    """

    WEIGHTED = "weighted"
    PLAIN = "plain"
    DYNAMIC = "dynamic"


# A NUL would end the PNG text chunk that carries the prompt.
_Text = Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARS, pattern=r"^[^\x00]*$")]
_Extent = Annotated[int, Field(strict=True, ge=1, le=MAX_EXTENT_PX)]
_Offset = Annotated[int, Field(strict=True, ge=0, le=MAX_EXTENT_PX)]

Prompt = Annotated[_Text, Field(description="What the image should show.")]
NegativePrompt = Annotated[_Text, Field(description="What the image should not show.")]
Syntax = Annotated[
    PromptSyntax,
    Field(
        description="`weighted` reads both prompts as AUTOMATIC1111 does: (word:1.3), [word], "
        "BREAK, [from:to:0.5], [a|b], AND, names of embeddings. `plain` takes every character "
        "literally. `dynamic` "
        "first draws wildcards, `__name__`, and variants, `{red|blue}` or `{2$$red|green|blue}`, "
        "by the seed: one prompt for all images of the job, which the answer has as a `weighted` "
        "one."
    ),
]
ClipSkip = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=MAX_CLIP_SKIP)] | None,
    Field(
        description="Number of final text encoder layers to skip, as in diffusers: 1 uses the "
        'penultimate layer, which AUTOMATIC1111 calls "Clip skip 2".'
    ),
]
OriginalSize = Annotated[
    tuple[_Extent, _Extent] | None,
    Field(
        description="SDXL original-size conditioning [height, width] in pixels; the image's own "
        "size if omitted."
    ),
]
CropsTopLeft = Annotated[
    tuple[_Offset, _Offset] | None,
    Field(description="SDXL crop conditioning [top, left] in pixels; [0, 0] if omitted."),
]
TargetSize = Annotated[
    tuple[_Extent, _Extent] | None,
    Field(
        description="SDXL target-size conditioning [height, width] in pixels; the image's own "
        "size if omitted."
    ),
]
