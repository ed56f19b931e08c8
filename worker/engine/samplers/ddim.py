"""Denoising Diffusion Implicit Models."""

import math

import numpy as np

from worker.engine.samplers.schedule import Array, NoiseSchedule
from worker.engine.samplers.scheduler_config import TimestepSpacing
from worker.engine.samplers.spacing import spaced
from worker.engine.samplers.table import Level, M, SamplerCall, Table, X


def ddim(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Song et al. 2021 (arXiv:2010.02502), equation 12 with σ = 0; diffusers' DDIMScheduler."""
    stride = schedule.length // steps
    timesteps = np.round(spaced(schedule, steps, TimestepSpacing.LEADING)).astype(int)[skip:]
    calls = []
    for t in timesteps:
        a = schedule.alpha_cumprod(t, ends_at_one=True)
        a_prev = schedule.alpha_cumprod(t - stride, ends_at_one=True)
        calls.append(SamplerCall(float(t), Level.at_alpha(a), ddim_step(schedule, X, M, a, a_prev)))
    return Table.of(calls, skipped=skip)


def ddim_step(schedule: NoiseSchedule, x: Array, m: Array, a: float, a_prev: float) -> Array:
    """x at ᾱ = a_prev from x and the model's output m at ᾱ = a; all of them forms."""
    x0, eps = schedule.denoised(x, m, a), schedule.noise(x, m, a)
    return math.sqrt(a_prev) * x0 + math.sqrt(1 - a_prev) * eps
