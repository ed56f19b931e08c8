"""What a client asks for, and the same with every blank filled in."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints

from latentry.contracts.images import OutputFormat
from latentry.contracts.wire import Asked, Told

MAX_PROMPT_CHARS: Final = 8_000
MAX_IMAGES: Final = 8
MAX_SIDE_PX: Final = 4_096
MAX_STEPS: Final = 1_000
MAX_GUIDANCE: Final = 50.0
# CLIP ViT-L, the smallest text encoder of the published models, has this many layers.
MAX_CLIP_SKIP: Final = 12
# Of a picture that a model was trained on, and so may be told of.
MAX_EXTENT_PX: Final = 16_384
# The largest integer that survives every JSON reader (JavaScript's are doubles).
MAX_SEED: Final = 2**53 - 1
MODEL_ID: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Sampler(StrEnum):
    """The noise-stepping methods (diffusers calls them schedulers)."""

    DDIM = "ddim"
    DDPM = "ddpm"
    PNDM = "pndm"
    EULER = "euler"
    EULER_A = "euler_a"
    HEUN = "heun"
    DPMPP_2M = "dpmpp_2m"
    DPMPP_2M_SDE = "dpmpp_2m_sde"
    DPMPP_SDE = "dpmpp_sde"
    DPM2 = "dpm2"
    UNIPC = "unipc"
    LCM = "lcm"


# The most steps of those that cannot take any number: LCM models are distilled from 50.
SAMPLER_STEPS: Final[dict[Sampler, int]] = {Sampler.LCM: 50}

# What diffusers and AUTOMATIC1111 call them.
SAMPLER_ALIASES: Final[dict[str, Sampler]] = {
    "DDIMScheduler": Sampler.DDIM,
    "DDIM": Sampler.DDIM,
    "DDPMScheduler": Sampler.DDPM,
    "DDPM": Sampler.DDPM,
    "PNDMScheduler": Sampler.PNDM,
    "PLMS": Sampler.PNDM,
    "EulerDiscreteScheduler": Sampler.EULER,
    "Euler": Sampler.EULER,
    "EulerAncestralDiscreteScheduler": Sampler.EULER_A,
    "Euler a": Sampler.EULER_A,
    "HeunDiscreteScheduler": Sampler.HEUN,
    "Heun": Sampler.HEUN,
    "DPMSolverMultistepScheduler": Sampler.DPMPP_2M,
    "DPM++ 2M": Sampler.DPMPP_2M,
    "DPM++ 2M SDE": Sampler.DPMPP_2M_SDE,
    "DPMSolverSinglestepScheduler": Sampler.DPMPP_SDE,
    "DPM++ SDE": Sampler.DPMPP_SDE,
    "KDPM2DiscreteScheduler": Sampler.DPM2,
    "DPM2": Sampler.DPM2,
    "UniPCMultistepScheduler": Sampler.UNIPC,
    "UniPC": Sampler.UNIPC,
    "LCMScheduler": Sampler.LCM,
    "LCM": Sampler.LCM,
}


class Determinism(StrEnum):
    """`strict`: identical pixels whatever else is in the batch. `fast`: any batch shape will do."""

    FAST = "fast"
    STRICT = "strict"


class PromptSyntax(StrEnum):
    """`weighted`: AUTOMATIC1111's `(word:1.3)`, `[word]` and `BREAK`. `plain`: as it stands."""

    WEIGHTED = "weighted"
    PLAIN = "plain"


def _by_alias(value: Any) -> Any:
    return SAMPLER_ALIASES.get(value, value) if isinstance(value, str) else value


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
SamplerId = Annotated[Sampler, BeforeValidator(_by_alias)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]


class GenerationRequest(Asked):
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
    sampler: SamplerId | None = Field(None, description="The noise-stepping method.")
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
    metadata: Metadata = Field(
        default_factory=dict, description="Your own labels, returned as given."
    )


class ResolvedRequest(Told):
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
    sampler: Sampler
    original_size: tuple[int, int] | None = None
    crops_coords_top_left: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    seed: int
    n: int = 1
    output_format: OutputFormat = OutputFormat.PNG
    determinism: Determinism = Determinism.FAST
    metadata: dict[str, str] = Field(default_factory=dict)
