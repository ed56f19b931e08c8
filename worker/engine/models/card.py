"""What a model can do, as its makers say or as its configs do."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from latentry.contracts import Defaults, Limits, ModelCard, Sampler, Spacing
from latentry.contracts.fields.bounds import MAX_CLIP_SKIP, MAX_SIDE_PX
from latentry.contracts.samplers import SAMPLER_ALIASES, SAMPLER_SPACINGS
from latentry.errors import ConfigurationError
from worker.engine.samplers import SAMPLERS

NOTES: Final = "latentry.json"


class Notes(BaseModel):
    """The optional `latentry.json` of a model: what its makers know better than we.

    `strict_rows` is how many rows each call of strict mode has; other pixels come of another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None  # what its makers call it; whoever loads it decides its id here
    native_width: int | None = None
    native_height: int | None = None
    default_steps: int = Field(30, ge=1)
    default_guidance_scale: float | None = None
    default_sampler: Sampler | None = None
    default_spacing: Spacing | None = None
    min_side: int = 64
    max_side: int | None = None
    size_step: int = 8
    max_steps: int = 150
    strict_rows: int = Field(8, ge=2)
    prediction_type: str | None = None
    rescale_betas_zero_snr: bool | None = None

    @property
    def scheduler(self) -> dict[str, Any]:
        """What they say about the noise schedule, in the words of diffusers' configs."""
        said = {"prediction_type", "rescale_betas_zero_snr"}
        return self.model_dump(include=said, exclude_none=True)


def read_notes(file: Path) -> Notes:
    """The notes in a file, or none. Raises ConfigurationError with a sentence."""
    try:
        return Notes.model_validate(json.loads(file.read_text()) if file.exists() else {})
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} is not usable: {error}") from error


def make_card(
    model: str,
    notes: Notes,
    *,
    native: tuple[int, int],
    text_encoders: Sequence[Mapping[str, Any]],
    trained_steps: int,
    spacing: Spacing,
    scheduler: Mapping[str, Any],
    previews: bool,
    created: int,
) -> ModelCard:
    """A model's card from its notes, else from its configs.

    `native` is its width and height in pixels, `spacing` what its scheduler asks for. Two text
    encoders make it an SDXL.
    """
    width, height = notes.native_width or native[0], notes.native_height or native[1]
    sampler = notes.default_sampler or _usual_sampler(scheduler)
    spacing = _usual_spacing(sampler, notes.default_spacing, spacing)
    is_xl = len(text_encoders) > 1
    usual_guidance = 5.0 if is_xl else 7.5  # the stock pipelines' defaults
    return ModelCard(
        id=model,
        limits=Limits(
            min_side=notes.min_side,
            max_side=notes.max_side or min(2 * max(width, height), MAX_SIDE_PX),
            size_step=notes.size_step,
            max_steps=min(notes.max_steps, trained_steps - 1),
            max_clip_skip=_max_clip_skip(text_encoders),
            size_conditioning=is_xl,
            previews=previews,
        ),
        defaults=Defaults(
            width=width,
            height=height,
            num_inference_steps=notes.default_steps,
            guidance_scale=usual_guidance
            if notes.default_guidance_scale is None
            else notes.default_guidance_scale,
            sampler=sampler,
            spacing=spacing,
        ),
        samplers=list(SAMPLERS),
        created=created,
    )


def _usual_sampler(scheduler: Mapping[str, Any]) -> Sampler:
    sampler = SAMPLER_ALIASES.get(scheduler.get("_class_name", ""), Sampler.DDIM)
    is_sde = scheduler.get("algorithm_type") == "sde-dpmsolver++"
    return Sampler.DPMPP_2M_SDE if is_sde and sampler is Sampler.DPMPP_2M else sampler


def _usual_spacing(sampler: Sampler, noted: Spacing | None, configured: Spacing) -> Spacing:
    """As its makers say; a config's, as in diffusers, counts where the sampler has it."""
    has = SAMPLER_SPACINGS[sampler]
    if noted is not None and noted not in has:
        raise ConfigurationError(f"The default sampler {sampler} has no {noted} spacing.")
    return noted or (configured if configured in has else Spacing.DEFAULT)


def _max_clip_skip(text_encoders: Sequence[Mapping[str, Any]]) -> int:
    """SDXL never reads the last layer, so there is one less to skip."""
    fewest: int = min(config.get("num_hidden_layers", 12) for config in text_encoders)
    return min(fewest - (len(text_encoders) > 1), MAX_CLIP_SKIP)
