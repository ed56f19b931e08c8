"""The noise schedule that a model was trained with, from its scheduler config."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from latentry.contracts import Spacing
from latentry.errors import ConfigurationError
from worker.engine.samplers.betas import betas_of, with_zero_terminal_snr
from worker.engine.samplers.scheduler_config import (
    TIMESTEP_SPACINGS,
    Prediction,
    TimestepSpacing,
    choice,
    refuse_other_mathematics,
    spacing_of,
)

Array: TypeAlias = npt.NDArray[np.float64]

# ᾱ that diffusers takes instead of 0, where zero terminal SNR would make the first σ infinite.
_ALMOST_ZERO: Final = 2.0**-24
# Those from which consistency models are distilled.
_FEWEST_TIMESTEPS: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSchedule:
    """The noise level of every training timestep, and how samplers are to use them.

    alphas_cumprod [timesteps]: ᾱ_t of Ho et al. 2020 (arXiv:2006.11239), falling with t. unscaled
    [timesteps]: the same before a rescale to zero terminal SNR; equal to it if there was none.
    final_is_one: whether the step below timestep 0 ends at ᾱ = 1, diffusers' set_alpha_to_one.
    steps_offset: added to every timestep of leading spacing. final_is_one and timestep_spacing are
    None where the config leaves them to the sampler.
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
        """Read a diffusers scheduler config. Raises ConfigurationError for other mathematics."""
        refuse_other_mathematics(config)
        betas = betas_of(config)
        unscaled = alphas_cumprod = _alphas_cumprod(betas)
        if config.get("rescale_betas_zero_snr"):
            alphas_cumprod = _alphas_cumprod(with_zero_terminal_snr(betas))
        prediction = choice(Prediction, config, "prediction_type") or Prediction.EPSILON
        if prediction is Prediction.EPSILON and alphas_cumprod[-1] == 0:
            raise ConfigurationError(
                "The model's scheduler combines epsilon prediction with zero terminal SNR, where "
                "the noise contains nothing of the picture; use v_prediction."
            )
        schedule = cls(
            alphas_cumprod=alphas_cumprod,
            unscaled=unscaled,
            final_is_one=config.get("set_alpha_to_one"),
            prediction=prediction,
            timestep_spacing=choice(TimestepSpacing, config, "timestep_spacing"),
            steps_offset=int(config.get("steps_offset", 0)),
            spacing=spacing_of(config),
        )
        schedule._refuse_useless_levels()
        return schedule

    def _refuse_useless_levels(self) -> None:
        """Raise ConfigurationError where samplers would divide by zero or run out of timesteps."""
        for levels in (self, self.with_terminal_signal()):
            if not (levels.sigmas[0] > 0 and (np.diff(levels.sigmas) > 0).all()):
                raise ConfigurationError(
                    "The noise of the model's scheduler does not grow with every timestep; check "
                    "its betas, each of which has to be above 0 and below 1."
                )
        if self.length < _FEWEST_TIMESTEPS:
            raise ConfigurationError(
                f"The model's scheduler has num_train_timesteps={self.length}; at least "
                f"{_FEWEST_TIMESTEPS} are supported."
            )

    def spaced(self, spacing: Spacing) -> "NoiseSchedule":
        """The same levels, used as a request with this spacing wants."""
        timesteps = TIMESTEP_SPACINGS.get(spacing, self.timestep_spacing)
        return replace(self, spacing=spacing, timestep_spacing=timesteps)

    def with_terminal_signal(self) -> "NoiseSchedule":
        """The schedule before a rescale to zero terminal SNR.

        For samplers that diffusers does not rescale: a step from σ = 4096 by the mean of two slopes
        would be wrong by thousands.
        """
        return replace(self, alphas_cumprod=self.unscaled)

    @property
    def length(self) -> int:
        """How many timesteps the model was trained on."""
        return len(self.alphas_cumprod)

    @property
    def max_steps(self) -> int:
        """The most steps that every sampler can take, each at a timestep of its own.

        The DPM-Solvers space one timestep more than they visit, and leading spacing then adds
        steps_offset; one more step and two levels would be equal, or the highest be none.
        """
        return self.length - 1 - self.steps_offset

    @property
    def sigmas(self) -> npt.NDArray[np.float32]:
        """Noise to signal √((1 − ᾱ)/ᾱ) of every training timestep [timesteps], all finite.

        In float32, as diffusers has them: timesteps are found by comparing σ with these.
        """
        alphas = np.where(self.alphas_cumprod > 0, self.alphas_cumprod, _ALMOST_ZERO)
        alphas = alphas.astype(np.float32)
        return np.sqrt((1 - alphas) / alphas)

    def alpha_cumprod(self, t: int, *, ends_at_one: bool) -> float:
        """ᾱ_t; for t < 0 it is 1 or ᾱ₀, as the config says, or else the sampler (`ends_at_one`)."""
        if t >= 0:
            return float(self.alphas_cumprod[t])
        is_one = ends_at_one if self.final_is_one is None else self.final_is_one
        return 1.0 if is_one else float(self.alphas_cumprod[0])

    def denoised(self, x: Array, m: Array, alpha_cumprod: float) -> Array:
        """x₀ that the model's output m predicts at x = √ᾱ x₀ + √(1 − ᾱ) ε.

        x and m are linear forms of table.py. For v: Salimans & Ho 2022 (arXiv:2202.00512).
        """
        a, s = math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod)
        match self.prediction:
            case Prediction.EPSILON:
                return (x - s * m) / a
            case Prediction.V:
                return a * x - s * m
            case Prediction.SAMPLE:
                return m

    def noise(self, x: Array, m: Array, alpha_cumprod: float) -> Array:
        """ε that the model's output m predicts at the same x."""
        a, s = math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod)
        match self.prediction:
            case Prediction.EPSILON:
                return m
            case Prediction.V:
                return a * m + s * x
            case Prediction.SAMPLE:
                return (x - a * m) / s

    def denoised_at(self, x: Array, m: Array, sigma: float) -> Array:
        """x₀ that the model's output m predicts at x = x₀ + σ ε, given x / √(σ² + 1) as input."""
        scale = math.sqrt(sigma**2 + 1)
        return self.denoised(x / scale, m, 1 / scale**2)


def _alphas_cumprod(betas: torch.Tensor) -> Array:
    alphas_cumprod: Array = torch.cumprod(1.0 - betas, dim=0).double().numpy()
    return alphas_cumprod
