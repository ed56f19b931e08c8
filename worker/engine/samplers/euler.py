"""Euler's method on the probability-flow ODE, over noise levels σ."""

import math

import numpy as np

from worker.engine.samplers.spacing import spaced
from worker.engine.samplers.table import Call, M, Table, X
from worker.engine.schedule import Array, NoiseSchedule, Spacing


def euler(schedule: NoiseSchedule, steps: int) -> Table:
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 2; diffusers' EulerDiscreteScheduler."""
    timesteps, sigmas = noise_levels(schedule, steps)
    calls = []
    for t, sigma, sigma_next in zip(timesteps, sigmas, sigmas[1:], strict=False):
        d = (X - schedule.denoised_at(X, M, sigma)) / sigma
        calls.append(Call(t, X + d * (sigma_next - sigma), scale=input_scale(sigma)))
    return Table.of(calls, initial_sigma=initial_sigma(schedule, sigmas))


def noise_levels(schedule: NoiseSchedule, steps: int) -> tuple[Array, Array]:
    """Timesteps, and their σ with a 0 at the end."""
    timesteps = spaced(schedule, steps, Spacing.LINSPACE)
    sigmas = np.interp(timesteps, np.arange(schedule.length), schedule.sigmas)
    return timesteps, np.append(sigmas, 0.0)


def input_scale(sigma: float) -> float:
    """The UNet knows latents of unit variance: 1/√(σ² + 1)."""
    return 1 / math.sqrt(sigma**2 + 1)


def initial_sigma(schedule: NoiseSchedule, sigmas: Array) -> float:
    """Deviation of the first latent; leading spacing starts below the highest level."""
    highest = float(sigmas.max())
    return math.hypot(highest, 1) if schedule.spacing is Spacing.LEADING else highest
