"""The noise schedule a model was trained with, as its folder's scheduler config tells it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from latentry.errors import ConfigurationError
from worker.engine.betas import betas_of, with_zero_terminal_snr

Array: TypeAlias = npt.NDArray[np.float64]
Choice = TypeVar("Choice", bound=StrEnum)

# Options that change the mathematics in ways our samplers do not carry, and the value they do.
_REQUIRED: Final[dict[str, Any]] = {
    "clip_sample": False,
    "thresholding": False,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "interpolation_type": "linear",
    "timestep_type": "discrete",
    "final_sigmas_type": "zero",
    "variance_type": "fixed_small",
    "original_inference_steps": 50,
    "timestep_scaling": 10.0,
}
# What diffusers puts where zero terminal SNR would make the first sigma infinite.
_ALMOST_ZERO: Final = 2.0**-24


class Prediction(StrEnum):
    """What the UNet's output means."""

    EPSILON = "epsilon"
    V = "v_prediction"
    SAMPLE = "sample"


class Spacing(StrEnum):
    """Which of the training timesteps are visited (arXiv:2305.08891, table 2)."""

    LINSPACE = "linspace"
    LEADING = "leading"
    TRAILING = "trailing"


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSchedule:
    """ᾱ_t of every training timestep, and how the model and its folder want them used.

    `unscaled` is ᾱ_t before it was rescaled to zero terminal SNR, if it was.
    `spacing` and `final_is_one` are None where the config leaves them to the sampler.
    """

    alphas_cumprod: Array
    unscaled: Array
    final_is_one: bool | None
    prediction: Prediction
    spacing: Spacing | None
    steps_offset: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NoiseSchedule":
        """Read a diffusers scheduler config. Raises ConfigurationError on what is not supported."""
        for option, needed in _REQUIRED.items():
            if (config.get(option) or needed) != needed:
                raise ConfigurationError(
                    f"The model's scheduler has {option}={config[option]!r}; only {needed!r} works."
                )
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
            spacing=_choice(Spacing, config, "timestep_spacing"),
            steps_offset=int(config.get("steps_offset", 0)),
        )

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
    def sigmas(self) -> Array:
        """Noise to signal √((1 − ᾱ)/ᾱ) of every training timestep; the last one kept finite."""
        alphas = np.where(self.alphas_cumprod > 0, self.alphas_cumprod, _ALMOST_ZERO)
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
