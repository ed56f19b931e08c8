"""Which training timesteps a trajectory visits, highest first."""

import numpy as np

from worker.engine.schedule import Array, NoiseSchedule, Spacing


def spaced(schedule: NoiseSchedule, steps: int, default: Spacing) -> Array:
    """`steps` timesteps, the way the model wants them or else the sampler's default way."""
    match schedule.spacing or default:
        case Spacing.LINSPACE:
            # In float32, because a UNet sees the fraction.
            return _down(np.linspace(0, schedule.length - 1, steps, dtype=np.float32))
        case Spacing.LEADING:
            return _down(np.arange(steps) * (schedule.length // steps) + schedule.steps_offset)
        case Spacing.TRAILING:
            down = np.arange(schedule.length, 0, -schedule.length / steps)
            # arange can run one past the end by rounding, at 61 steps for one; diffusers then
            # asks its model about timestep −1.
            return np.round(down[:steps]) - 1


def _down(timesteps: np.ndarray) -> Array:
    return timesteps[::-1].astype(np.float64)
