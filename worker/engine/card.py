"""What a model's folder says it can do."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from latentry.contracts import Defaults, Limits, ModelCard, Sampler
from latentry.contracts.requests import MAX_CLIP_SKIP, MAX_SIDE_PX
from latentry.contracts.samplers import SAMPLER_ALIASES
from latentry.errors import ConfigurationError
from worker.engine.samplers import SAMPLERS

NOTES: Final = "latentry.json"


class _Notes(BaseModel):
    """The optional `latentry.json` of a model folder: what its makers know better than we."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None  # what its makers call it; whoever loads it decides its id here
    native_width: int | None = None
    native_height: int | None = None
    default_steps: int = 30
    default_guidance_scale: float | None = None
    default_sampler: Sampler | None = None
    min_side: int = 64
    max_side: int | None = None
    size_step: int = 8
    max_steps: int = 150


def read_card(
    model: str,
    path: Path,
    *,
    native: tuple[int, int],
    text_encoders: Sequence[Mapping[str, Any]],
    trained_steps: int,
    scheduler: Mapping[str, Any],
) -> ModelCard:
    """The card of the model in `path`, from its notes, else from its configs.

    `native` is its width and height in pixels. Two text encoders make it an SDXL.
    """
    file = path / NOTES
    try:
        notes = _Notes.model_validate(json.loads(file.read_text()) if file.exists() else {})
    except (ValueError, ValidationError) as error:
        raise ConfigurationError(f"{file} is not usable: {error}") from error
    width, height = notes.native_width or native[0], notes.native_height or native[1]
    trained_with = SAMPLER_ALIASES.get(scheduler.get("_class_name", ""), Sampler.DDIM)
    sampler = notes.default_sampler or trained_with
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
        ),
        defaults=Defaults(
            width=width,
            height=height,
            num_inference_steps=notes.default_steps,
            guidance_scale=usual_guidance
            if notes.default_guidance_scale is None
            else notes.default_guidance_scale,
            sampler=sampler if sampler in SAMPLERS else Sampler.DDIM,
        ),
        samplers=list(SAMPLERS),
        created=int((path / "model_index.json").stat().st_mtime),
    )


def _max_clip_skip(text_encoders: Sequence[Mapping[str, Any]]) -> int:
    """SDXL never reads the last layer, so there is one less to skip."""
    fewest = min(config.get("num_hidden_layers", 12) for config in text_encoders)
    return min(fewest - (len(text_encoders) > 1), MAX_CLIP_SKIP)
