"""Which training timesteps a trajectory visits, highest first, and how much noise is in each."""

import math

import numpy as np
import numpy.typing as npt

from worker.engine.schedule import Array, NoiseSchedule, Spacing


def spaced(
    schedule: NoiseSchedule, steps: int, default: Spacing, *, above_lowest: bool = False
) -> Array:
    """`steps` timesteps, the way the model wants them or else the sampler's default way.

    `above_lowest` is the DPM-Solver family's habit: one point more, and the lowest left out.
    """
    points = steps + 1 if above_lowest else steps
    match schedule.spacing or default:
        case Spacing.LINSPACE:
            # In float32, because a UNet sees the fraction.
            return _down(np.linspace(0, schedule.length - 1, points, dtype=np.float32))[:steps]
        case Spacing.LEADING:
            up = np.arange(points) * (schedule.length // points)
            return _down(up + schedule.steps_offset)[:steps]
        case Spacing.TRAILING:
            down = np.arange(schedule.length, 0, -schedule.length / steps)
            # arange can run one past the end by rounding, at 61 steps for one; diffusers then
            # asks its model about timestep −1.
            return np.round(down[:steps]) - 1


def noise_levels(schedule: NoiseSchedule, timesteps: Array) -> Array:
    """σ at each timestep, with a 0 at the end."""
    return np.append(np.interp(timesteps, np.arange(schedule.length), schedule.sigmas), 0.0)


def input_scale(sigma: float) -> float:
    """The UNet knows latents of unit variance: 1/√(σ² + 1); also the signal √ᾱ at this σ."""
    return 1 / math.sqrt(sigma**2 + 1)


def initial_sigma(schedule: NoiseSchedule, sigmas: Array) -> float:
    """Deviation of the first latent; leading spacing starts below the highest level."""
    highest = float(sigmas.max())
    return math.hypot(highest, 1) if schedule.spacing is Spacing.LEADING else highest


def _down(timesteps: npt.NDArray[np.generic]) -> Array:
    return timesteps[::-1].astype(np.float64)
