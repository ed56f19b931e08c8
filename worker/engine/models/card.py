"""What a model can do: its card, from its overrides or else its configs."""

from collections.abc import Mapping, Sequence
from typing import Any

from latentry.contracts import Defaults, Limits, ModelCard, Sampler, Spacing
from latentry.contracts.fields.bounds import MAX_CLIP_SKIP, MAX_SIDE_PX
from latentry.contracts.samplers import SAMPLER_SPACINGS
from latentry.errors import ConfigurationError
from worker.engine.models.overrides import Overrides
from worker.engine.samplers import SAMPLERS
from worker.engine.samplers.published import published_sampler, unknown_options
from worker.engine.samplers.schedule import NoiseSchedule


def make_card(
    model: str,
    overrides: Overrides,
    *,
    native: tuple[int, int],
    text_encoders: Sequence[Mapping[str, Any]],
    schedule: NoiseSchedule,
    scheduler: Mapping[str, Any],
    supports: Mapping[str, Any],
    created: int,
    warnings: Sequence[str] = (),
) -> ModelCard:
    """A model's card. Raises ConfigurationError for overrides that contradict each other.

    `native`: width and height in pixels. `text_encoders`: their configs. `scheduler`: the config
    from which `schedule` was made. `supports`: what its networks decide of its Limits,
    size_conditioning among it. `created`: Unix time in seconds. `warnings`: what could not be
    taken as its files say it, in sentences for users.
    """
    size = overrides.native_width or native[0], overrides.native_height or native[1]
    published, is_xl = published_sampler(scheduler), supports["size_conditioning"]
    differences = () if overrides.default_sampler else published.differences
    return ModelCard(
        id=model,
        limits=Limits(
            **_bounds(overrides, size, schedule),
            max_clip_skip=_max_clip_skip(text_encoders, is_xl=is_xl),
            images=True,
            **supports,
        ),
        defaults=_defaults(overrides, size, published.sampler, schedule, is_xl=is_xl),
        samplers=list(SAMPLERS),
        created=created,
        warnings=(*warnings, *differences, *unknown_options(scheduler)),
    )


def _bounds(overrides: Overrides, size: tuple[int, int], schedule: NoiseSchedule) -> dict[str, int]:
    """The limits that overrides may set."""
    return {
        "min_side": overrides.min_side,
        "max_side": overrides.max_side or min(2 * max(size), MAX_SIDE_PX),
        "size_step": overrides.size_step,
        "max_steps": min(overrides.max_steps, schedule.max_steps),
        "strict_rows": overrides.strict_rows,
    }


def _defaults(
    overrides: Overrides,
    size: tuple[int, int],
    published: Sampler,
    schedule: NoiseSchedule,
    *,
    is_xl: bool,
) -> Defaults:
    sampler = overrides.default_sampler or published
    guidance_scale = overrides.default_guidance_scale
    if guidance_scale is None:
        guidance_scale = 5.0 if is_xl else 7.5  # the stock pipelines' defaults
    return Defaults(
        width=size[0],
        height=size[1],
        num_inference_steps=overrides.default_steps,
        guidance_scale=guidance_scale,
        sampler=sampler,
        spacing=_default_spacing(sampler, overrides.default_spacing, schedule.spacing),
    )


def _default_spacing(sampler: Sampler, override: Spacing | None, configured: Spacing) -> Spacing:
    """The override; else the config's, which as in diffusers is ignored if the sampler lacks it."""
    spacings = SAMPLER_SPACINGS[sampler]
    if override is not None and override not in spacings:
        raise ConfigurationError(f"The default sampler {sampler} has no {override} spacing.")
    return override or (configured if configured in spacings else Spacing.DEFAULT)


def _max_clip_skip(text_encoders: Sequence[Mapping[str, Any]], *, is_xl: bool) -> int:
    """SDXL never reads the last layer, so there is one less to skip."""
    fewest: int = min(config.get("num_hidden_layers", 12) for config in text_encoders)
    return min(fewest - is_xl, MAX_CLIP_SKIP)
