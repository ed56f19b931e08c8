"""The noise schedule a model was trained with, as its folder's scheduler config tells it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from latentry.errors import ConfigurationError

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

    `spacing` is None where the config leaves it to the sampler.
    """

    alphas_cumprod: Array
    final_alpha_cumprod: float
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
        alphas_cumprod = _alphas_cumprod(config)
        prediction = _choice(Prediction, config, "prediction_type") or Prediction.EPSILON
        if prediction is Prediction.EPSILON and alphas_cumprod[-1] == 0:
            raise ConfigurationError(
                "The model's scheduler joins epsilon prediction with zero terminal SNR, "
                "where the noise says nothing about the picture; use v_prediction."
            )
        return cls(
            alphas_cumprod=alphas_cumprod,
            final_alpha_cumprod=(
                1.0 if config.get("set_alpha_to_one", True) else float(alphas_cumprod[0])
            ),
            prediction=prediction,
            spacing=_choice(Spacing, config, "timestep_spacing"),
            steps_offset=int(config.get("steps_offset", 0)),
        )

    @property
    def length(self) -> int:
        """How many timesteps the model was trained on."""
        return len(self.alphas_cumprod)

    @property
    def sigmas(self) -> Array:
        """Noise to signal √((1 − ᾱ)/ᾱ) of every training timestep; the last one kept finite."""
        alphas = np.where(self.alphas_cumprod > 0, self.alphas_cumprod, _ALMOST_ZERO)
        return np.sqrt((1 - alphas) / alphas)

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


def _alphas_cumprod(config: Mapping[str, Any]) -> Array:
    """ᾱ_t in float32 steps, as diffusers does, so that both start from the same bits."""
    start, end = config.get("beta_start", 1e-4), config.get("beta_end", 0.02)
    count = int(config.get("num_train_timesteps", 1000))
    if trained := config.get("trained_betas"):
        betas = torch.tensor(trained, dtype=torch.float32)
    else:
        match config.get("beta_schedule", "linear"):
            case "linear":
                betas = torch.linspace(start, end, count, dtype=torch.float32)
            case "scaled_linear":
                betas = torch.linspace(start**0.5, end**0.5, count, dtype=torch.float32) ** 2
            case "squaredcos_cap_v2":
                betas = _cosine_betas(count)
            case other:
                raise ConfigurationError(f"The model's scheduler has unknown betas, {other!r}.")
    if config.get("rescale_betas_zero_snr"):
        betas = _with_zero_terminal_snr(betas)
    alphas_cumprod: Array = torch.cumprod(1.0 - betas, dim=0).double().numpy()
    return alphas_cumprod


def _cosine_betas(count: int) -> torch.Tensor:
    """Nichol & Dhariwal 2021 (arXiv:2102.09672), equation 17."""

    def alpha_bar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [
        min(1 - alpha_bar((i + 1) / count) / alpha_bar(i / count), 0.999) for i in range(count)
    ]
    return torch.tensor(betas, dtype=torch.float32)


def _with_zero_terminal_snr(betas: torch.Tensor) -> torch.Tensor:
    """Lin et al. 2023 (arXiv:2305.08891), algorithm 1."""
    signal = torch.cumprod(1.0 - betas, dim=0).sqrt()
    first, last = signal[0].clone(), signal[-1].clone()
    signal -= last
    signal *= first / (first - last)
    alphas_cumprod = signal**2
    return 1 - torch.cat([alphas_cumprod[:1], alphas_cumprod[1:] / alphas_cumprod[:-1]])
