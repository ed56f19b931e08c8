"""Which noise levels a trajectory visits, highest first, and at which timestep of the model.

Levels are rounded to float32, as diffusers' are, so that both visit the same ones.
"""

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from latentry.contracts import Spacing
from worker.engine.samplers.quantile import symmetric_beta_quantiles
from worker.engine.samplers.schedule import Array, NoiseSchedule
from worker.engine.samplers.scheduler_config import TimestepSpacing

# From the highest σ, the lowest and a number of steps to that many levels, highest first.
Spread: TypeAlias = Callable[[float, float, int], Array]


def spaced(
    schedule: NoiseSchedule, steps: int, default: TimestepSpacing, *, above_lowest: bool = False
) -> Array:
    """[steps] timesteps, highest first, spaced as the model's config says or else by `default`.

    `above_lowest`: one more is spaced and the lowest left out, as diffusers' DPM-Solvers do.
    """
    points = steps + 1 if above_lowest else steps
    match schedule.timestep_spacing or default:
        case TimestepSpacing.LINSPACE:
            return _down(np.linspace(0, schedule.length - 1, points))[:steps]
        case TimestepSpacing.LEADING:
            up = np.arange(points) * (schedule.length // points)
            return _down(up + schedule.steps_offset)[:steps]
        case TimestepSpacing.TRAILING:
            down = np.arange(schedule.length, 0, -schedule.length / steps)
            # arange can run one past the end by rounding, at 61 steps for one; diffusers then
            # asks its model about timestep −1.
            return np.round(down[:steps]) - 1


def fractional_walk(schedule: NoiseSchedule, steps: int, skip: int = 0) -> tuple[Array, Array]:
    """Timesteps [steps] with fractions, and σ [steps + 1] at each and 0, as k-diffusion has them.

    The first `skip` of both are left out.

    A spacing of σ fills the range between the first timestep's σ and the last one's.
    """
    timesteps = _as_float32(spaced(schedule, steps, TimestepSpacing.LINSPACE))
    sigmas = np.interp(timesteps, np.arange(schedule.length), schedule.sigmas)
    if spread := _SPREADS.get(schedule.spacing):
        sigmas = spread(float(sigmas[0]), float(sigmas[-1]), steps)
        timesteps = _as_float32(timesteps_at(schedule, sigmas))
    return timesteps[skip:], _as_float32(np.append(sigmas, 0.0))[skip:]


def whole_walk(schedule: NoiseSchedule, steps: int, skip: int = 0) -> tuple[Array, Array]:
    """Whole timesteps [steps], and σ [steps + 1] at each and 0, as the DPM-Solvers have them.

    The first `skip` of both are left out.

    A spacing of σ fills the range of the whole schedule.
    """
    timesteps = np.round(spaced(schedule, steps, TimestepSpacing.LINSPACE, above_lowest=True))
    sigmas = np.interp(timesteps, np.arange(schedule.length), schedule.sigmas)
    if spread := _SPREADS.get(schedule.spacing):
        sigmas = spread(float(schedule.sigmas[-1]), float(schedule.sigmas[0]), steps)
        # diffusers rounds for Karras only, and otherwise cuts the fraction off.
        whole = np.round if schedule.spacing is Spacing.KARRAS else np.floor
        timesteps = whole(timesteps_at(schedule, sigmas))
    return timesteps[skip:], _as_float32(np.append(sigmas, 0.0))[skip:]


def timesteps_at(schedule: NoiseSchedule, sigmas: npt.NDArray[np.floating[Any]]) -> Array:
    """Fractional timesteps of noise levels: log σ interpolated between the training levels."""
    known, wanted = np.log(schedule.sigmas), np.log(sigmas)
    low = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, len(known) - 2)
    w = np.clip((known[low] - wanted) / (known[low] - known[low + 1]), 0, 1)
    return np.asarray((1 - w) * low + w * (low + 1), dtype=np.float64)


def input_scale(sigma: float) -> float:
    """1/√(σ² + 1), which scales x₀ + σ ε to the unit variance that the UNet was trained on.

    It is also √ᾱ at this σ.
    """
    return 1 / math.sqrt(sigma**2 + 1)


def initial_sigma(schedule: NoiseSchedule, sigmas: Array) -> float:
    """Standard deviation of the first latent, diffusers' init_noise_sigma.

    Leading spacing leaves out the highest training levels, so there the signal counts too.
    """
    highest = float(sigmas.max())
    is_leading = schedule.timestep_spacing is TimestepSpacing.LEADING
    return math.hypot(highest, 1) if is_leading else highest


def _karras(highest: float, lowest: float, steps: int) -> Array:
    """Karras et al. 2022 (arXiv:2206.00364), equation 5 with ρ = 7."""
    high, low = math.pow(highest, 1 / 7), math.pow(lowest, 1 / 7)
    return (high + np.linspace(0, 1, steps) * (low - high)) ** 7


def _exponential(highest: float, lowest: float, steps: int) -> Array:
    """Even in log σ; k-diffusion's get_sigmas_exponential."""
    return np.exp(np.linspace(math.log(highest), math.log(lowest), steps))


def _beta(highest: float, lowest: float, steps: int) -> Array:
    """Lee et al. 2024 (arXiv:2407.12173): quantiles of Beta(0.6, 0.6), dense at both ends."""
    quantiles = symmetric_beta_quantiles(1 - np.linspace(0, 1, steps), 0.6)
    return lowest + quantiles * (highest - lowest)


_SPREADS: Final[dict[Spacing, Spread]] = {
    Spacing.KARRAS: _karras,
    Spacing.EXPONENTIAL: _exponential,
    Spacing.BETA: _beta,
}


def _down(timesteps: npt.NDArray[np.generic]) -> Array:
    return timesteps[::-1].astype(np.float64)


def _as_float32(values: Array) -> Array:
    return values.astype(np.float32).astype(np.float64)
