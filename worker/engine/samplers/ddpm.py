"""Denoising Diffusion Probabilistic Models."""

import math
from itertools import pairwise

import numpy as np

from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.scheduler_config import TimestepSpacing
from worker.engine.samplers.spacing import spaced
from worker.engine.samplers.table import NOISE, Level, M, SamplerCall, Table, X


def ddpm(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Ho et al. 2020 (arXiv:2006.11239), equation 7; diffusers' DDPMScheduler, fixed_small."""
    timesteps = np.round(spaced(schedule, steps, TimestepSpacing.LEADING)).astype(int)[skip:]
    calls = []
    for t, t_prev in pairwise([*timesteps, -1]):
        a = schedule.alphas_cumprod[t]
        a_prev = schedule.alphas_cumprod[t_prev] if t_prev >= 0 else 1.0
        beta = 1 - a / a_prev
        x0 = schedule.denoised(X, M, a)
        mean = (math.sqrt(a_prev) * beta * x0 + math.sqrt(a / a_prev) * (1 - a_prev) * X) / (1 - a)
        variance = (1 - a_prev) / (1 - a) * beta
        calls.append(SamplerCall(float(t), Level.at_alpha(a), mean + math.sqrt(variance) * NOISE))
    return Table.of(calls, skipped=skip)
