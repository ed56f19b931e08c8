"""Euler's method on the probability-flow ODE over noise levels σ, plain and ancestral."""

import math
from itertools import pairwise

from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.spacing import fractional_walk, initial_sigma, input_scale
from worker.engine.samplers.table import NOISE, Level, M, SamplerCall, Table, X


def euler(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 2; diffusers' EulerDiscreteScheduler."""
    timesteps, sigmas = fractional_walk(schedule, steps, skip)
    calls = []
    for t, (sigma, sigma_next) in zip(timesteps, pairwise(sigmas), strict=True):
        d = (X - schedule.denoised_at(X, M, sigma)) / sigma
        calls.append(
            SamplerCall(
                t, Level.at_sigma(sigma), X + d * (sigma_next - sigma), scale=input_scale(sigma)
            )
        )
    return Table.of(
        calls,
        initial_sigma=initial_sigma(schedule, sigmas),
        skipped=skip,
    )


def euler_ancestral(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Crowson's k-diffusion, sample_euler_ancestral; diffusers' EulerAncestralDiscreteScheduler."""
    timesteps, sigmas = fractional_walk(schedule, steps, skip)
    calls = []
    for t, (sigma, sigma_next) in zip(timesteps, pairwise(sigmas), strict=True):
        down, up = ancestral_levels(sigma, sigma_next)
        d = (X - schedule.denoised_at(X, M, sigma)) / sigma
        calls.append(
            SamplerCall(
                t,
                Level.at_sigma(sigma),
                X + d * (down - sigma) + up * NOISE,
                scale=input_scale(sigma),
            )
        )
    return Table.of(
        calls,
        initial_sigma=initial_sigma(schedule, sigmas),
        skipped=skip,
    )


def ancestral_levels(sigma: float, sigma_next: float) -> tuple[float, float]:
    """How far an ancestral step goes down, and the noise that leads back up to σ_next."""
    up = math.sqrt(sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2)
    return math.sqrt(sigma_next**2 - up**2), up
