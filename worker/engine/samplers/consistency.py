"""Consistency models: from each timestep straight to the picture, and part of the way back."""

import math
from itertools import pairwise
from typing import Final

import numpy as np

from latentry.errors import TooManySteps
from worker.engine.samplers.ddim import ddim_step
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.table import NOISE, Level, M, SamplerCall, Table, X

# Of the published models' distillation: diffusers' original_inference_steps and timestep_scaling.
_DISTILLED_STEPS: Final = 50
_TIMESTEP_SCALING: Final = 10.0
_SIGMA_DATA: Final = 0.5
# TCD's γ, diffusers' default eta: how much of each step's noise is fresh.
_GAMMA: Final = 0.3


def lcm(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Luo et al. 2023 (arXiv:2310.04378), algorithm 3; diffusers' LCMScheduler.

    Raises TooManySteps beyond the 50 that such models were distilled from.
    """
    timesteps = _distilled(schedule, steps, "lcm")[skip:]
    calls = []
    for t, t_next in pairwise([*timesteps, -1]):
        scaled = t * _TIMESTEP_SCALING
        c_skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
        c_out = scaled / math.hypot(scaled, _SIGMA_DATA)
        level = Level.at_alpha(schedule.alphas_cumprod[t])
        x = c_out * schedule.denoised(X, M, schedule.alphas_cumprod[t]) + c_skip * X
        if t_next >= 0:
            a = schedule.alphas_cumprod[t_next]
            x = math.sqrt(a) * x + math.sqrt(1 - a) * NOISE
        calls.append(SamplerCall(float(t), level, x))
    return Table.of(calls, skipped=skip)


def tcd(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Zheng et al. 2024 (arXiv:2402.19159), algorithm 4 with γ = 0.3; diffusers' TCDScheduler.

    Each step goes below the next timestep, and noise leads back up to it. Raises TooManySteps as
    `lcm` does.
    """
    timesteps = _distilled(schedule, steps, "tcd")[skip:]
    calls: list[SamplerCall] = []
    for t, t_next in pairwise([*timesteps, 0]):
        below = int(np.float32(1 - _GAMMA) * np.float32(t_next))
        a, a_next, a_below = (float(schedule.alphas_cumprod[u]) for u in (t, t_next, below))
        x = ddim_step(schedule, X, M, a, a_below)
        if len(calls) + 1 < len(timesteps):
            x = math.sqrt(a_next / a_below) * x + math.sqrt(1 - a_next / a_below) * NOISE
        calls.append(SamplerCall(float(t), Level.at_alpha(a), x))
    return Table.of(calls, skipped=skip)


def _distilled(schedule: NoiseSchedule, steps: int, sampler: str) -> list[int]:
    """[steps] of the timesteps that consistency models learnt, highest first."""
    if steps > _DISTILLED_STEPS:
        raise TooManySteps(f"The sampler {sampler} takes at most {_DISTILLED_STEPS} steps.")
    distilled = np.arange(_DISTILLED_STEPS, 0, -1) * (schedule.length // _DISTILLED_STEPS) - 1
    picked = np.floor(np.linspace(0, _DISTILLED_STEPS, steps, endpoint=False)).astype(int)
    return [int(t) for t in distilled[picked]]
