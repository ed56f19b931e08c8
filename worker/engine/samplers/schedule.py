"""The noise schedule a model was trained with, as its folder's scheduler config tells it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from latentry.contracts import Spacing
from latentry.errors import ConfigurationError
from worker.engine.samplers.betas import betas_of, with_zero_terminal_snr

Array: TypeAlias = npt.NDArray[np.float64]
Choice = TypeVar("Choice", bound=StrEnum)

# Options that change the mathematics in ways our samplers do not carry, and the values they do.
# Not here are lower_order_final and euler_at_final: with a last σ of zero the last step is of first
# order anyway, or could not be.
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
    "solver_order": (2,),
    "solver_type": ("midpoint", "bh2"),
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
# What diffusers puts where zero terminal SNR would make the first sigma infinite.
_ALMOST_ZERO: Final = 2.0**-24


class Prediction(StrEnum):
    """What the UNet's output means."""

    EPSILON = "epsilon"
    V = "v_prediction"
    SAMPLE = "sample"


class TimestepSpacing(StrEnum):
    """Which of the training timesteps are visited (arXiv:2305.08891, table 2)."""

    LINSPACE = "linspace"
    LEADING = "leading"
    TRAILING = "trailing"


# What AUTOMATIC1111's schedule types are by diffusers' documentation (Schedulers, overview). Karras
# keeps the model's timestep spacing, where some samplers take their highest level from.
_TIMESTEPS: Final = {
    Spacing.EXPONENTIAL: TimestepSpacing.LINSPACE,
    Spacing.BETA: TimestepSpacing.LINSPACE,
    Spacing.SGM_UNIFORM: TimestepSpacing.TRAILING,
}


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSchedule:
    """ᾱ_t of every training timestep, and how the model, or else a request, wants them used.

    `unscaled` is ᾱ_t before it was rescaled to zero terminal SNR, if it was.
    `timestep_spacing` and `final_is_one` are None where the config leaves them to the sampler.
    """

    alphas_cumprod: Array
    unscaled: Array
    final_is_one: bool | None
    prediction: Prediction
    timestep_spacing: TimestepSpacing | None
    steps_offset: int
    spacing: Spacing = Spacing.DEFAULT

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NoiseSchedule":
        """Read a diffusers scheduler config. Raises ConfigurationError on what is not supported."""
        _refuse_other_mathematics(config)
        betas = betas_of(config)
        unscaled = alphas_cumprod = _alphas_cumprod(betas)
        if config.get("rescale_betas_zero_snr"):
            alphas_cumprod = _alphas_cumprod(with_zero_terminal_snr(betas))
        prediction = _choice(Prediction, config, "prediction_type") or Prediction.EPSILON
        if prediction is Prediction.EPSILON and alphas_cumprod[-1] == 0:
            raise ConfigurationError(
                "The model's scheduler joins epsilon prediction with zero terminal SNR, "
                "where the noise says nothing about the picture; use v_prediction."
            )
        return cls(
            alphas_cumprod=alphas_cumprod,
            unscaled=unscaled,
            final_is_one=config.get("set_alpha_to_one"),
            prediction=prediction,
            timestep_spacing=_choice(TimestepSpacing, config, "timestep_spacing"),
            steps_offset=int(config.get("steps_offset", 0)),
            spacing=_spacing(config),
        )

    def spaced(self, spacing: Spacing) -> "NoiseSchedule":
        """The schedule for a request that wants this spacing."""
        timesteps = _TIMESTEPS.get(spacing, self.timestep_spacing)
        return replace(self, spacing=spacing, timestep_spacing=timesteps)

    def with_terminal_signal(self) -> "NoiseSchedule":
        """The schedule as it was before a rescale to zero terminal SNR.

        For methods that diffusers does not rescale: from σ = 4096 a step by the mean of two slopes
        would miss by thousands.
        """
        return replace(self, alphas_cumprod=self.unscaled)

    @property
    def length(self) -> int:
        """How many timesteps the model was trained on."""
        return len(self.alphas_cumprod)

    @property
    def sigmas(self) -> npt.NDArray[np.float32]:
        """Noise to signal √((1 − ᾱ)/ᾱ) of every training timestep; the last one kept finite.

        In float32, as diffusers has them: a σ's place among them decides a timestep.
        """
        alphas = np.where(self.alphas_cumprod > 0, self.alphas_cumprod, _ALMOST_ZERO)
        alphas = alphas.astype(np.float32)
        return np.sqrt((1 - alphas) / alphas)

    def alpha_cumprod(self, t: int, *, ends_at_one: bool) -> float:
        """ᾱ_t; below timestep 0 it is 1 or stays ᾱ₀, as the config or else the sampler says."""
        if t >= 0:
            return float(self.alphas_cumprod[t])
        is_one = ends_at_one if self.final_is_one is None else self.final_is_one
        return 1.0 if is_one else float(self.alphas_cumprod[0])

    def denoised(self, x: Array, m: Array, alpha_cumprod: float) -> Array:
        """x₀ that the model's output m predicts at x = √ᾱ x₀ + √(1 − ᾱ) ε."""
        a, s = math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod)
        match self.prediction:
            case Prediction.EPSILON:
                return (x - s * m) / a
            case Prediction.V:
                return a * x - s * m
            case Prediction.SAMPLE:
                return m

    def noise(self, x: Array, m: Array, alpha_cumprod: float) -> Array:
        """ε that the model's output m predicts at x = √ᾱ x₀ + √(1 − ᾱ) ε."""
        a, s = math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod)
        match self.prediction:
            case Prediction.EPSILON:
                return m
            case Prediction.V:
                return a * m + s * x
            case Prediction.SAMPLE:
                return (x - a * m) / s

    def denoised_at(self, x: Array, m: Array, sigma: float) -> Array:
        """x₀ that the model's output m predicts at x = x₀ + σ ε, whose model input is scaled."""
        scale = math.sqrt(sigma**2 + 1)
        return self.denoised(x / scale, m, 1 / scale**2)


def _refuse_other_mathematics(config: Mapping[str, Any]) -> None:
    for option, known in _REQUIRED.items():
        value = config.get(option)
        if value is not None and value not in known:
            works = " or ".join(repr(one) for one in known) or "leaving it out"
            raise ConfigurationError(
                f"The model's scheduler has {option}={value!r}; only {works} works."
            )


def _spacing(config: Mapping[str, Any]) -> Spacing:
    """The spacing that the config itself asks for."""
    asked = [option for option in _SPACINGS if config.get(option)]
    if len(asked) > 1:
        raise ConfigurationError(f"The model's scheduler has {' and '.join(asked)}; one at most.")
    if not asked:
        return Spacing.DEFAULT
    spacing = _SPACINGS[asked[0]]
    timesteps = config.get("timestep_spacing")
    if timesteps is not None and timesteps != _TIMESTEPS.get(spacing, timesteps):
        raise ConfigurationError(
            f"The model's scheduler has {asked[0]} with timestep_spacing={timesteps!r}; "
            f"only {_TIMESTEPS[spacing].value!r} works with it."
        )
    return spacing


def _choice(kind: type[Choice], config: Mapping[str, Any], option: str) -> Choice | None:
    value = config.get(option)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise ConfigurationError(
            f"The model's scheduler has {option}={value!r}; known are {known}."
        ) from None


def _alphas_cumprod(betas: torch.Tensor) -> Array:
    alphas_cumprod: Array = torch.cumprod(1.0 - betas, dim=0).double().numpy()
    return alphas_cumprod
