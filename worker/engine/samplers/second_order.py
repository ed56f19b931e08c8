"""Two UNet calls a step: Heun's and the midpoint method on the probability-flow ODE."""

import math
from itertools import pairwise

import numpy as np

from latentry.contracts import Spacing
from worker.engine.samplers.euler import ancestral_levels
from worker.engine.samplers.schedule import Array, NoiseSchedule
from worker.engine.samplers.spacing import (
    fractional_walk,
    initial_sigma,
    input_scale,
    timesteps_at,
)
from worker.engine.samplers.table import H1, H2, NOISE, Level, M, SamplerCall, Table, X


def heun(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 1 with γ = 0; diffusers' HeunDiscrete."""
    schedule = schedule.with_terminal_signal()
    timesteps, sigmas = fractional_walk(schedule, steps, skip)
    calls = []
    for i, (t, (sigma, sigma_next)) in enumerate(zip(timesteps, pairwise(sigmas), strict=True)):
        d = _slope(schedule, sigma)
        dt, level = sigma_next - sigma, Level.at_sigma(sigma)
        is_last = i + 1 == len(timesteps)
        guess = SamplerCall(
            t, level, X + d * dt, (d, X), scale=input_scale(sigma), completes_step=is_last
        )
        calls.append(guess)
        if not is_last:
            d_next = _slope(schedule, sigma_next)
            x = H2 + (H1 + d_next) / 2 * dt
            calls.append(
                SamplerCall(
                    timesteps[i + 1], Level.at_sigma(sigma_next), x, scale=input_scale(sigma_next)
                )
            )
    return Table.of(
        calls,
        initial_sigma=initial_sigma(schedule, sigmas),
        skipped=skip,
    )


def dpm2(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Lu et al. 2022 (arXiv:2206.00927), DPM-Solver-2 as in k-diffusion; diffusers' KDPM2Discrete.

    The middle is halfway in log σ; the last step, down to σ = 0, is one call.
    """
    return _midpoint(schedule, steps, skip, ancestral=False)


def dpm2_ancestral(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """The same with fresh noise; k-diffusion's sample_dpm_2_ancestral, KDPM2AncestralDiscrete."""
    return _midpoint(schedule, steps, skip, ancestral=True)


def _midpoint(schedule: NoiseSchedule, steps: int, skip: int, *, ancestral: bool) -> Table:
    schedule = schedule.with_terminal_signal()
    timesteps, sigmas = fractional_walk(schedule, steps, skip)
    if schedule.spacing is Spacing.KARRAS:
        timesteps = np.round(timesteps)
    calls = []
    for i, (t, (sigma, sigma_next)) in enumerate(zip(timesteps, pairwise(sigmas), strict=True)):
        down, up = ancestral_levels(sigma, sigma_next) if ancestral else (sigma_next, 0.0)
        middle, level = math.sqrt(sigma * down), Level.at_sigma(sigma)
        d, is_last = _slope(schedule, sigma), i + 1 == len(timesteps)
        x = X + d * (middle - sigma)
        calls.append(
            SamplerCall(t, level, x, (X,), scale=input_scale(sigma), completes_step=is_last)
        )
        if not is_last:
            t_middle = timesteps_at(schedule, np.array([middle], dtype=np.float32))[0]
            x = H1 + _slope(schedule, middle) * (down - sigma) + up * NOISE
            calls.append(
                SamplerCall(float(t_middle), Level.at_sigma(middle), x, scale=input_scale(middle))
            )
    return Table.of(
        calls,
        initial_sigma=initial_sigma(schedule, sigmas),
        skipped=skip,
    )


def _slope(schedule: NoiseSchedule, sigma: float) -> Array:
    """dx/dσ at x, as a form: (x − x₀) / σ of Karras et al. 2022, algorithm 1."""
    return (X - schedule.denoised_at(X, M, sigma)) / sigma
