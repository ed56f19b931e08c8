"""What a client asks for, and the same with every blank filled in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from latentry.contracts.outputs import OutputFormat
from latentry.contracts.samplers import (
    JOINED_ALIASES,
    SAMPLER_ALIASES,
    SPACING_ALIASES,
    Sampler,
    Spacing,
)
from latentry.contracts.webhooks import Webhook
from latentry.contracts.wire import RequestModel, ResponseModel

MAX_PROMPT_CHARS: Final = 8_000
MAX_IMAGES: Final = 8
MAX_SIDE_PX: Final = 4_096
MAX_STEPS: Final = 1_000
MAX_GUIDANCE: Final = 50.0
# CLIP ViT-L, the smallest text encoder of the published models, has this many layers.
MAX_CLIP_SKIP: Final = 12
MAX_CACHE_INTERVAL: Final = 10
# Of a picture that a model was trained on, and so may be told of.
MAX_EXTENT_PX: Final = 16_384
# The largest integer that survives every JSON reader (JavaScript's are doubles).
MAX_SEED: Final = 2**53 - 1
MAX_WITHIN_S: Final = 86_400
MODEL_ID: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Determinism(StrEnum):
    """`strict`: identical pixels whatever else is in the batch. `fast`: any batch shape will do."""

    FAST = "fast"
    STRICT = "strict"


class PromptSyntax(StrEnum):
    """`weighted`: AUTOMATIC1111's `(word:1.3)`, `[word]` and `BREAK`. `plain`: as it stands."""

    WEIGHTED = "weighted"
    PLAIN = "plain"


class Priority(StrEnum):
    """Which of its tenant's own jobs go first. No other tenant's job ever waits for it."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


def _meant(said: Any, aliases: Mapping[str, StrEnum]) -> Any:
    return aliases.get(said, said) if isinstance(said, str) else said


def _by_alias(aliases: Mapping[str, StrEnum]) -> BeforeValidator:
    return BeforeValidator(lambda said: _meant(said, aliases))


# A NUL would end the PNG text chunk that carries the prompt.
Prompt = Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARS, pattern=r"^[^\x00]*$")]
ModelId = Annotated[str, StringConstraints(pattern=MODEL_ID)]
Side = Annotated[int, Field(strict=True, ge=64, le=MAX_SIDE_PX, multiple_of=8)]
Steps = Annotated[int, Field(strict=True, ge=1, le=MAX_STEPS)]
Guidance = Annotated[float, Field(strict=True, ge=0, le=MAX_GUIDANCE)]
Seed = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
Count = Annotated[int, Field(strict=True, ge=1, le=MAX_IMAGES)]
ClipSkip = Annotated[int, Field(strict=True, ge=1, le=MAX_CLIP_SKIP)]
_Extent = Annotated[int, Field(strict=True, ge=1, le=MAX_EXTENT_PX)]
_Offset = Annotated[int, Field(strict=True, ge=0, le=MAX_EXTENT_PX)]
HeightWidth = tuple[_Extent, _Extent]
TopLeft = tuple[_Offset, _Offset]
Fraction = Annotated[float, Field(strict=True, gt=0, le=1)]
CacheInterval = Annotated[int, Field(strict=True, ge=1, le=MAX_CACHE_INTERVAL)]
PreviewInterval = Annotated[int, Field(strict=True, ge=0, le=MAX_STEPS)]
Rescale = Annotated[float, Field(strict=True, ge=0, le=1)]
Within = Annotated[int, Field(strict=True, ge=1, le=MAX_WITHIN_S)]
SamplerId = Annotated[Sampler, _by_alias(SAMPLER_ALIASES)]
SpacingId = Annotated[Spacing, _by_alias(SPACING_ALIASES)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]


class GenerationRequest(RequestModel):
    """One order for pictures. A field left out (or null) takes the model's default."""

    model: ModelId | None = Field(None, description="Model id; the service's default if left out.")
    prompt: Prompt = Field(description="What the picture should show.")
    negative_prompt: Prompt = Field("", description="What it should not show.")
    prompt_syntax: PromptSyntax = Field(
        PromptSyntax.WEIGHTED,
        description="`weighted` reads both prompts as AUTOMATIC1111 does: (word:1.3), [word], "
        "BREAK; `plain` takes every character as it stands.",
    )
    clip_skip: ClipSkip | None = Field(
        None,
        description="Text encoder layers to skip at the end, as in diffusers: 1 is the layer "
        'before the last, which AUTOMATIC1111 calls "Clip skip 2".',
    )
    width: Side | None = Field(None, description="Pixels; the model's native width if left out.")
    height: Side | None = Field(None, description="Pixels; the model's native height if left out.")
    num_inference_steps: Steps | None = Field(None, description="Denoising steps.")
    guidance_scale: Guidance | None = Field(
        None, description="Classifier-free guidance; 1 or less switches it off."
    )
    guidance_rescale: Rescale = Field(
        0.0,
        description="How far guidance is scaled back to the contrast it had: 0 is not, 1 is all.",
    )
    guidance_stop: Fraction = Field(
        1.0,
        description="Fraction of the UNet calls after which guidance stops, as in diffusers' "
        "guiders: what follows costs half. Changes the picture a little.",
    )
    cache_interval: CacheInterval = Field(
        1,
        description="DeepCache: one in so many UNet calls is whole, the others reuse its deep "
        "features. 1 is off; 2 or 3 save much and change the picture a little.",
    )
    sampler: SamplerId | None = Field(None, description="The noise-stepping method.")
    spacing: SpacingId | None = Field(
        None,
        description="How the sampler's noise levels are spaced; the model's default, where the "
        "sampler has it, if left out.",
    )
    original_size: HeightWidth | None = Field(
        None,
        description="SDXL: [height, width] to draw as if scaled from; the picture's if left out.",
    )
    crops_coords_top_left: TopLeft | None = Field(
        None, description="SDXL: [top, left] to draw as if cropped at; [0, 0] if left out."
    )
    target_size: HeightWidth | None = Field(
        None, description="SDXL: [height, width] to draw as if for; the picture's if left out."
    )
    seed: Seed | None = Field(None, description="Seed of the first image; drawn if left out.")
    n: Count = Field(1, description="Images; they get the seeds seed, seed + 1, …")
    output_format: OutputFormat = OutputFormat.PNG
    determinism: Determinism = Determinism.FAST
    preview_interval: PreviewInterval = Field(
        0,
        description="Every so many steps the event stream shows a small picture of how far each "
        "image is; 0 is never. No image is changed by it. See the model's `limits.previews`.",
    )
    priority: Priority = Field(
        Priority.NORMAL,
        description="Among your own jobs: `high` goes before what came up to 10 minutes earlier,"
        " `low` after what comes up to 10 minutes later.",
    )
    start_within: Within | None = Field(
        None, description="Seconds that it may wait; then it is `expired`, without any work."
    )
    finish_within: Within | None = Field(
        None, description="Seconds until its end; then it is `expired`, waiting or running."
    )
    dry_run: bool = Field(
        False,
        strict=True,
        description="Answers 200 with cost and estimated start, or the problem; enters nothing.",
    )
    metadata: Metadata = Field(
        default_factory=dict, description="Your own labels, returned as given."
    )
    webhook: Webhook | None = Field(
        None, description="Whom to tell how the job ends. No part of the picture's recipe."
    )

    @model_validator(mode="before")
    @classmethod
    def _two_in_one(cls, said: Any) -> Any:
        """A name for sampler and spacing at once, such as `DPM++ 2M Karras`, as the two."""
        name = said.get("sampler") if isinstance(said, dict) else None
        if not isinstance(name, str) or name not in JOINED_ALIASES:
            return said
        sampler, spacing = JOINED_ALIASES[name]
        if _meant(said.get("spacing"), SPACING_ALIASES) not in (None, spacing):
            raise PydanticCustomError(
                "contradiction", "The sampler's name says one spacing, and spacing another."
            )
        return said | {"sampler": sampler, "spacing": spacing}


class ResolvedRequest(ResponseModel):
    """A request with every blank filled: what a worker runs, and what repeats the pictures."""

    model: ModelId
    prompt: str
    negative_prompt: str = ""
    prompt_syntax: PromptSyntax = PromptSyntax.WEIGHTED
    clip_skip: int | None = None
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    guidance_rescale: float = 0.0
    guidance_stop: float = 1.0
    cache_interval: int = 1
    sampler: Sampler
    spacing: Spacing = Spacing.DEFAULT
    original_size: tuple[int, int] | None = None
    crops_coords_top_left: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    seed: int
    n: int = 1
    output_format: OutputFormat = OutputFormat.PNG
    determinism: Determinism = Determinism.FAST
    preview_interval: int = 0
    metadata: dict[str, str] = Field(default_factory=dict)
