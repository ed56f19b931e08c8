"""The fields of a generation request, each once: its type, its bounds and its description.

A name that may be null takes the model's default there. The door of another API annotates with the
same names; SDK and command line are compared with the request by tests/latentry/test_parity.py.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints

from latentry.contracts import outputs, webhooks
from latentry.contracts.samplers import SAMPLER_ALIASES, SPACING_ALIASES
from latentry.contracts.samplers import Sampler as SamplerName
from latentry.contracts.samplers import Spacing as SpacingName

MAX_PROMPT_CHARS: Final = 8_000
MAX_IMAGES: Final = 8
MAX_SIDE_PX: Final = 4_096
MAX_STEPS: Final = 1_000
MAX_GUIDANCE: Final = 50.0
# CLIP ViT-L, the smallest text encoder of the published models, has this many layers.
MAX_CLIP_SKIP: Final = 12
MAX_CACHE_INTERVAL: Final = 10
# SDXL's size conditioning describes training images, which may be larger than generated ones.
MAX_EXTENT_PX: Final = 16_384
# The largest integer that survives every JSON reader (JavaScript's are doubles).
MAX_SEED: Final = 2**53 - 1
MAX_WITHIN_S: Final = 86_400
MODEL_ID: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Determinism(StrEnum):
    """`strict`: identical pixels whatever else is in the batch. `fast`: any batch shape."""

    FAST = "fast"
    STRICT = "strict"


class PromptSyntax(StrEnum):
    """`weighted`: AUTOMATIC1111's `(word:1.3)`, `[word]` and `BREAK`. `plain`: literal text."""

    WEIGHTED = "weighted"
    PLAIN = "plain"


class Priority(StrEnum):
    """The order among a tenant's own jobs. It never delays another tenant's job."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


def canonical(value: Any, aliases: Mapping[str, StrEnum]) -> Any:
    """The enum member that an alias stands for; anything else unchanged, for pydantic to judge."""
    return aliases.get(value, value) if isinstance(value, str) else value


def _by_alias(aliases: Mapping[str, StrEnum]) -> BeforeValidator:
    return BeforeValidator(lambda value: canonical(value, aliases))


# The values, without a description.
ModelId = Annotated[str, StringConstraints(pattern=MODEL_ID)]
# A NUL would end the PNG text chunk that carries the prompt.
_Text = Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARS, pattern=r"^[^\x00]*$")]
_Side = Annotated[int, Field(strict=True, ge=64, le=MAX_SIDE_PX, multiple_of=8)]
_Extent = Annotated[int, Field(strict=True, ge=1, le=MAX_EXTENT_PX)]
_Offset = Annotated[int, Field(strict=True, ge=0, le=MAX_EXTENT_PX)]
_Seconds = Annotated[int, Field(strict=True, ge=1, le=MAX_WITHIN_S)]
_Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_LabelText = Annotated[str, StringConstraints(max_length=512)]

# The fields, in the order of the request.
Model = Annotated[ModelId | None, Field(description="Model id; the default model if omitted.")]
Prompt = Annotated[_Text, Field(description="What the image should show.")]
NegativePrompt = Annotated[_Text, Field(description="What the image should not show.")]
Syntax = Annotated[
    PromptSyntax,
    Field(
        description="`weighted` reads both prompts as AUTOMATIC1111 does: (word:1.3), [word], "
        "BREAK. `plain` takes every character literally."
    ),
]
ClipSkip = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=MAX_CLIP_SKIP)] | None,
    Field(
        description="Number of final text encoder layers to skip, as in diffusers: 1 uses the "
        'penultimate layer, which AUTOMATIC1111 calls "Clip skip 2".'
    ),
]
Width = Annotated[
    _Side | None,
    Field(description="Image width in pixels; the model's native width if omitted."),
]
Height = Annotated[
    _Side | None,
    Field(description="Image height in pixels; the model's native height if omitted."),
]
Steps = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=MAX_STEPS)] | None,
    Field(description="Number of denoising steps; the model's default if omitted."),
]
GuidanceScale = Annotated[
    Annotated[float, Field(strict=True, ge=0, le=MAX_GUIDANCE)] | None,
    Field(
        description="Classifier-free guidance (CFG) scale; 1 or less turns guidance off. The "
        "model's default if omitted."
    ),
]
GuidanceRescale = Annotated[
    float, Field(strict=True, ge=0, le=1, description="CFG rescale: 0 is off, 1 is full.")
]
GuidanceStop = Annotated[
    float,
    Field(
        strict=True,
        gt=0,
        le=1,
        description="Stop guidance after this fraction of the UNet calls; the remaining calls cost "
        "half. Values below 1 change the image slightly.",
    ),
]
CacheInterval = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=MAX_CACHE_INTERVAL,
        description="DeepCache: run the full UNet every N calls and reuse its deep features in "
        "between; 1 is off. 2 or 3 save much time and change the image slightly.",
    ),
]
Sampler = Annotated[
    Annotated[SamplerName, _by_alias(SAMPLER_ALIASES)] | None,
    Field(description="Sampling method; the model's default if omitted."),
]
Spacing = Annotated[
    Annotated[SpacingName, _by_alias(SPACING_ALIASES)] | None,
    Field(
        description="Spacing of the sampler's noise levels (AUTOMATIC1111's schedule type); the "
        "model's default, where the sampler supports it, if omitted."
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
Seed = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] | None,
    Field(description="Seed of the first image; random if omitted."),
]
Count = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=MAX_IMAGES,
        description="Number of images; they use the seeds seed, seed + 1, …",
    ),
]
OutputFormat = Annotated[outputs.OutputFormat, Field(description="File format of the images.")]
DeterminismMode = Annotated[
    Determinism,
    Field(
        description="`strict` gives identical pixels whatever else is in the batch; `fast` allows "
        "any batch shape."
    ),
]
PreviewInterval = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MAX_STEPS,
        description="Send a small preview of each image in the event stream every N steps; 0 is "
        "off. Images do not change. Only for models with `limits.previews`.",
    ),
]
QueuePriority = Annotated[
    Priority,
    Field(
        description="Order among your own jobs: `high` queues as if submitted 10 minutes earlier, "
        "`low` as if 10 minutes later."
    ),
]
StartWithin = Annotated[
    _Seconds | None,
    Field(description="Maximum queue time in seconds; then the job expires without running."),
]
FinishWithin = Annotated[
    _Seconds | None,
    Field(
        description="Maximum time in seconds until the job ends; then it expires, queued or "
        "running."
    ),
]
DryRun = Annotated[
    bool,
    Field(
        strict=True,
        description="Validate and estimate only; no job is created. Answers 200 with the cost and "
        "the estimated start, or the problem.",
    ),
]
Metadata = Annotated[
    dict[_Label, _LabelText],
    Field(max_length=16, description="Your own labels, returned unchanged."),
]
WebhookTarget = Annotated[
    webhooks.Webhook | None,
    Field(description="Where to send a notification when the job ends. Not part of the recipe."),
]
