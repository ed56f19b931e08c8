"""DPM-Solver++: exponential integrators over λ = −log σ, for models that predict x₀."""

import math
from dataclasses import replace
from itertools import pairwise

from worker.engine.samplers.schedule import Array, NoiseSchedule
from worker.engine.samplers.scheduler_config import TimestepSpacing
from worker.engine.samplers.spacing import input_scale, whole_walk
from worker.engine.samplers.table import H1, H2, NOISE, Level, M, SamplerCall, Table, X


def dpmpp_2m(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Lu et al. 2022 (arXiv:2211.01095), algorithm 2; diffusers' DPMSolverMultistepScheduler."""
    return _multistep(schedule, steps, skip, stochastic=False)


def dpmpp_2m_sde(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """The same for the reverse SDE; diffusers' DPMSolverMultistep with sde-dpmsolver++."""
    return _multistep(schedule, steps, skip, stochastic=True)


def dpmpp_sde(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Lu et al. 2022, algorithm 1, for the SDE; diffusers' DPMSolverSinglestep, sde-dpmsolver++.

    Calls come in pairs, of which the second starts at the x that the first one started at;
    diffusers counts each as a step, and spaces them evenly whatever the model's config says.
    """
    schedule = replace(schedule.with_terminal_signal(), timestep_spacing=TimestepSpacing.LINSPACE)
    timesteps, sigmas = whole_walk(schedule, steps, skip)
    calls = []
    for i, (t, (sigma, sigma_next)) in enumerate(zip(timesteps, pairwise(sigmas), strict=True)):
        d, level = denoised(schedule, sigma), level_at(sigma)
        if i == 0 or (skip + i) % 2 == 0 or i + 1 == len(timesteps):
            calls.append(
                SamplerCall(t, level, integrate(X, d, sigma, sigma_next, stochastic=True), h=(X, d))
            )
        else:
            start = sigmas[i - 1]
            r = math.log(start / sigma) / math.log(start / sigma_next)
            d = H2 + (d - H2) / (2 * r)
            calls.append(
                SamplerCall(t, level, integrate(H1, d, start, sigma_next, stochastic=True))
            )
    return Table.of(calls, skipped=skip)


def _multistep(schedule: NoiseSchedule, steps: int, skip: int, *, stochastic: bool) -> Table:
    timesteps, sigmas = whole_walk(schedule, steps, skip)
    calls = []
    for i, (t, (sigma, sigma_next)) in enumerate(zip(timesteps, pairwise(sigmas), strict=True)):
        d = slope = denoised(schedule, sigma)
        if 0 < i < len(timesteps) - 1:
            r = math.log(sigmas[i - 1] / sigma) / math.log(sigma / sigma_next)
            slope = d + (d - H1) / (2 * r)
        x = integrate(X, slope, sigma, sigma_next, stochastic=stochastic)
        calls.append(SamplerCall(t, level_at(sigma), x, h=(d,)))
    return Table.of(calls, skipped=skip)


def level_at(sigma: float) -> Level:
    """x = (x₀ + σ ε) / √(σ² + 1)."""
    return Level.at_alpha(input_scale(sigma) ** 2)


def denoised(schedule: NoiseSchedule, sigma: float) -> Array:
    """x₀ that the model predicts at x = (x₀ + σ ε) / √(σ² + 1), as a form."""
    return schedule.denoised(X, M, input_scale(sigma) ** 2)


def integrate(
    x: Array, d: Array, sigma: float, sigma_next: float, *, stochastic: bool = False
) -> Array:
    """The form x at σ moved to σ_next while the denoised form d is constant.

    Equation 9 of arXiv:2211.01095 for the ODE; the exact solution for the SDE, if `stochastic`.
    """
    signal, noise = input_scale(sigma_next), sigma_next * input_scale(sigma_next)
    keep = noise / (sigma * input_scale(sigma))
    decay = sigma_next / sigma
    if not stochastic:
        return keep * x + signal * (1 - decay) * d
    fresh = math.sqrt(1 - decay**2)
    return keep * decay * x + signal * (1 - decay**2) * d + noise * fresh * NOISE
