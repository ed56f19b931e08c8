"""The options of a diffusers scheduler config, and those that no sampler here implements."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from latentry.contracts import Spacing
from latentry.errors import ConfigurationError

Choice = TypeVar("Choice", bound=StrEnum)

# Options that change the mathematics, with the values that our samplers implement.
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
    "use_dynamic_shifting": (False,),
    "shift_terminal": (),
    "solver_p": (),
}
_SPACINGS: Final = {
    "use_karras_sigmas": Spacing.KARRAS,
    "use_exponential_sigmas": Spacing.EXPONENTIAL,
    "use_beta_sigmas": Spacing.BETA,
}
# Options that are read, here and in betas.py, schedule.py and published.py.
OBEYED: Final = frozenset(
    {
        "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
        "prediction_type", "timestep_spacing", "set_alpha_to_one", "rescale_betas_zero_snr",
        "algorithm_type", "skip_prk_steps", "lower_order_final", *_SPACINGS,
    }
)  # fmt: skip
# Options without effect beside the values above: those of clipping, thresholding and flow matching,
# which are off, and of the last step, which to a σ of 0 is of first order anyway.
WITHOUT_EFFECT: Final = frozenset(
    {
        "clip_sample_range", "dynamic_thresholding_ratio", "sample_max_value", "flow_shift",
        "time_shift_type", "euler_at_final",
        # Of classes that only a nearest sampler stands for.
        "noise_sampler_seed", "predictor_order", "corrector_order", "tau_func",
    }
)  # fmt: skip
REQUIRED: Final = frozenset(_REQUIRED)
KNOWN_OPTIONS: Final = OBEYED | WITHOUT_EFFECT | REQUIRED


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


def as_its_pipeline_reads(config: Mapping[str, Any], *, is_xl: bool) -> dict[str, Any]:
    """A config with the corrections that diffusers' pipeline makes to old ones.

    StableDiffusionPipeline sets both, whatever a file says; StableDiffusionXLPipeline neither.
    """
    corrections = {} if is_xl else {"steps_offset": 1, "clip_sample": False}
    return {**config, **corrections}


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
