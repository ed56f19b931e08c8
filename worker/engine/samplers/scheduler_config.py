"""The options of a diffusers scheduler config, and those that no sampler here implements."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from latentry.contracts import Spacing
from latentry.errors import ConfigurationError

Choice = TypeVar("Choice", bound=StrEnum)

# Options that change the mathematics, with the values that our samplers implement. Not listed are
# lower_order_final and euler_at_final: with a last σ of 0 the last step is of first order anyway.
_REQUIRED: Final[dict[str, tuple[Any, ...]]] = {
    "clip_sample": (False,),
    "thresholding": (False,),
    "use_lu_lambdas": (False,),
    "use_flow_sigmas": (False,),
    "interpolation_type": ("linear",),
    "timestep_type": ("discrete",),
    "final_sigmas_type": ("zero",),
    "lambda_min_clipped": (-math.inf, "-inf", "-Infinity"),
    "sigma_min": (),
    "sigma_max": (),
    "steps_offset": (0, 1),  # a larger one leads past the last timestep
    "solver_order": (2,),
    "solver_type": ("midpoint", "bh2", "logrho"),
    "predict_x0": (True,),
    "disable_corrector": ([],),
    "variance_type": ("fixed_small",),
    "original_inference_steps": (50,),
    "timestep_scaling": (10.0,),
}
_SPACINGS: Final = {
    "use_karras_sigmas": Spacing.KARRAS,
    "use_exponential_sigmas": Spacing.EXPONENTIAL,
    "use_beta_sigmas": Spacing.BETA,
}


class Prediction(StrEnum):
    """What the UNet's output is: the noise ε, v = √ᾱ ε − √(1 − ᾱ) x₀, or x₀ itself."""

    EPSILON = "epsilon"
    V = "v_prediction"
    SAMPLE = "sample"


class TimestepSpacing(StrEnum):
    """Which of the training timesteps are visited (arXiv:2305.08891, table 2)."""

    LINSPACE = "linspace"
    LEADING = "leading"
    TRAILING = "trailing"


# AUTOMATIC1111's schedule types in diffusers' terms (its documentation: Schedulers, overview).
# Karras is not listed: it keeps the model's own, from which some samplers take their highest σ.
TIMESTEP_SPACINGS: Final = {
    Spacing.EXPONENTIAL: TimestepSpacing.LINSPACE,
    Spacing.BETA: TimestepSpacing.LINSPACE,
    Spacing.SGM_UNIFORM: TimestepSpacing.TRAILING,
}


def refuse_other_mathematics(config: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for an option that no sampler here implements."""
    for option, known in _REQUIRED.items():
        value = config.get(option)
        if value is not None and value not in known:
            supported = " or ".join(repr(one) for one in known) or "leaving it out"
            raise ConfigurationError(
                f"The model's scheduler has {option}={value!r}; only {supported} is supported."
            )


def spacing_of(config: Mapping[str, Any]) -> Spacing:
    """The spacing of σ that a config sets. Raises ConfigurationError for more than one."""
    chosen = [option for option in _SPACINGS if config.get(option)]
    if len(chosen) > 1:
        raise ConfigurationError(
            f"The model's scheduler has {' and '.join(chosen)}; at most one is supported."
        )
    if not chosen:
        return Spacing.DEFAULT
    spacing = _SPACINGS[chosen[0]]
    timesteps = config.get("timestep_spacing")
    if timesteps is not None and timesteps != TIMESTEP_SPACINGS.get(spacing, timesteps):
        raise ConfigurationError(
            f"The model's scheduler has {chosen[0]} with timestep_spacing={timesteps!r}; "
            f"only {TIMESTEP_SPACINGS[spacing].value!r} is supported with it."
        )
    return spacing


def choice(kind: type[Choice], config: Mapping[str, Any], option: str) -> Choice | None:
    """An option's value, if it is set. Raises ConfigurationError for one that `kind` lacks."""
    value = config.get(option)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise ConfigurationError(
            f"The model's scheduler has {option}={value!r}; supported are {known}."
        ) from None
