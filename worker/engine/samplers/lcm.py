"""Latent Consistency Models."""

import math
from itertools import pairwise
from typing import Final

import numpy as np

from latentry.errors import TooManySteps
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.table import NOISE, M, SamplerCall, Table, X

# Of the published models' distillation: diffusers' original_inference_steps and timestep_scaling.
_DISTILLED_STEPS: Final = 50
_TIMESTEP_SCALING: Final = 10.0
_SIGMA_DATA: Final = 0.5


def lcm(schedule: NoiseSchedule, steps: int) -> Table:
    """Luo et al. 2023 (arXiv:2310.04378), algorithm 3; diffusers' LCMScheduler.

    Raises TooManySteps beyond the 50 that such models were distilled from.
    """
    if steps > _DISTILLED_STEPS:
        raise TooManySteps(f"The sampler lcm takes at most {_DISTILLED_STEPS} steps.")
    distilled = np.arange(_DISTILLED_STEPS, 0, -1) * (schedule.length // _DISTILLED_STEPS) - 1
    picked = np.floor(np.linspace(0, _DISTILLED_STEPS, steps, endpoint=False)).astype(int)
    calls = []
    for t, t_next in pairwise([*distilled[picked], -1]):
        scaled = t * _TIMESTEP_SCALING
        c_skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
        c_out = scaled / math.hypot(scaled, _SIGMA_DATA)
        x = c_out * schedule.denoised(X, M, schedule.alphas_cumprod[t]) + c_skip * X
        if t_next >= 0:
            a = schedule.alphas_cumprod[t_next]
            x = math.sqrt(a) * x + math.sqrt(1 - a) * NOISE
        calls.append(SamplerCall(float(t), x))
    return Table.of(calls)
