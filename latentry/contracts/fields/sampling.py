"""How an image is sampled: model, size, steps, guidance, sampler and seed."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from latentry.contracts.fields.bounds import (
    MAX_CACHE_INTERVAL,
    MAX_GUIDANCE,
    MAX_SEED,
    MAX_SIDE_PX,
    MAX_STEPS,
    MODEL_ID,
)
from latentry.contracts.samplers import JOINED_ALIASES, SAMPLER_ALIASES, SPACING_ALIASES
from latentry.contracts.samplers import Sampler as SamplerName
from latentry.contracts.samplers import Spacing as SpacingName


class Determinism(StrEnum):
    """`strict`: identical pixels whatever else is in the batch. `fast`: any batch shape."""

    FAST = "fast"
    STRICT = "strict"


class Seamless(StrEnum):
    """In which directions an image can be laid beside itself without a seam."""

    NONE = "none"
    X = "x"
    Y = "y"
    BOTH = "both"


def steps_before(fraction: float, steps: int) -> int:
    """How many of the steps come before this fraction of them, rounded down.

    A whole number that floats miss by their last bits, such as 100 times 0.29, is that number.
    """
    if fraction in (0, 1):  # nearly always
        return steps * int(fraction)
    return math.floor(round(steps * fraction, 6))


def canonical(value: Any, aliases: Mapping[str, StrEnum]) -> Any:
    """The enum member of an alias; anything else unchanged, for pydantic to validate."""
    return aliases.get(value, value) if isinstance(value, str) else value


def split_joined_name(body: Any) -> Any:
    """A name for sampler and spacing at once, such as `DPM++ 2M Karras`, as the two."""
    name = body.get("sampler") if isinstance(body, dict) else None
    if not isinstance(name, str) or name not in JOINED_ALIASES:
        return body
    sampler, spacing = JOINED_ALIASES[name]
    if canonical(body.get("spacing"), SPACING_ALIASES) not in (None, spacing):
        raise PydanticCustomError(
            "contradiction", "The sampler's name implies another spacing than `spacing`"
        )
    return body | {"sampler": sampler, "spacing": spacing}


def _by_alias(aliases: Mapping[str, StrEnum]) -> BeforeValidator:
    return BeforeValidator(lambda value: canonical(value, aliases))


ModelId = Annotated[str, StringConstraints(pattern=MODEL_ID)]
_Side = Annotated[int, Field(strict=True, ge=64, le=MAX_SIDE_PX, multiple_of=8)]

Model = Annotated[ModelId | None, Field(description="Model id; the default model if omitted.")]
Width = Annotated[
    _Side | None,
    Field(description="Image width in pixels; the model's native width if omitted."),
]
Height = Annotated[
    _Side | None,
    Field(description="Image height in pixels; the model's native height if omitted."),
]
Steps = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_STEPS)] | None,
    Field(
        description="Number of denoising steps; the model's default if omitted. 0 gives the "
        "starting noise, decoded."
    ),
]
DenoiseStart = Annotated[
    float,
    Field(
        strict=True,
        ge=0,
        lt=1,
        description="Start from `image` after this fraction of the steps, instead of `strength`: "
        "0.8 makes the last fifth.",
    ),
]
DenoiseEnd = Annotated[
    float,
    Field(
        strict=True,
        gt=0,
        le=1,
        description="Stop after this fraction of the steps and decode what is there, noise and "
        "all: 0.8 makes the first four fifths.",
    ),
]
Refiner = Annotated[
    ModelId | None,
    Field(
        description="Model that makes the last steps, from `refiner_switch_at` on: SDXL's refiner, "
        "or another model with the same latents. Its workers must serve both."
    ),
]
RefinerSwitchAt = Annotated[
    float,
    Field(
        strict=True,
        gt=0,
        lt=1,
        description="The fraction of the steps after which `refiner` takes over.",
    ),
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
Seed = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] | None,
    Field(description="Seed of the first image; random if omitted."),
]
SeamlessTiling = Annotated[
    Seamless,
    Field(
        description="Make an image that tiles: its left and right edges meet (`x`), its top and "
        "bottom (`y`), or all (`both`), by circular padding of the UNet's and the VAE's "
        "convolutions."
    ),
]
VariationSeed = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] | None,
    Field(
        description="Seed of another starting noise, for variations; random if omitted. With "
        "`variation_strength`, images keep `seed` and count this one up."
    ),
]
VariationStrength = Annotated[
    float,
    Field(
        strict=True,
        ge=0,
        le=1,
        description="How far the starting noise is from that of `seed` to that of "
        "`variation_seed`: 0 is off, 1 is all the way.",
    ),
]
DeterminismMode = Annotated[
    Determinism,
    Field(
        description="`strict` gives identical pixels whatever else is in the batch; `fast` allows "
        "any batch shape."
    ),
]
