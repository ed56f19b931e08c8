"""Denoising Diffusion Implicit Models."""

import math

import numpy as np

from worker.engine.samplers.spacing import spaced
from worker.engine.samplers.table import Call, M, Table, X
from worker.engine.schedule import NoiseSchedule, Spacing


def ddim(schedule: NoiseSchedule, steps: int) -> Table:
    """Song et al. 2021 (arXiv:2010.02502), equation 12 with σ = 0; diffusers' DDIMScheduler."""
    alphas = schedule.alphas_cumprod
    stride = schedule.length // steps
    calls = []
    for t in np.round(spaced(schedule, steps, Spacing.LEADING)).astype(int):
        a = alphas[t]
        a_prev = alphas[t - stride] if t >= stride else schedule.final_alpha_cumprod
        x0, eps = schedule.denoised(X, M, a), schedule.noise(X, M, a)
        calls.append(Call(float(t), math.sqrt(a_prev) * x0 + math.sqrt(1 - a_prev) * eps))
    return Table.of(calls)
