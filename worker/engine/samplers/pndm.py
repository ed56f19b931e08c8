"""Pseudo linear multistep: DDIM's step with a model output extrapolated from the last four."""

import numpy as np

from worker.engine.samplers.ddim import ddim_step
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.scheduler_config import TimestepSpacing
from worker.engine.samplers.spacing import spaced
from worker.engine.samplers.table import H1, H2, H3, M, SamplerCall, Table, X

# Adams–Bashforth weights over the newest outputs, times their denominators.
_OUTPUTS = {
    1: (3 * M - H1) / 2,
    2: (23 * M - 16 * H1 + 5 * H2) / 12,
    3: (55 * M - 59 * H1 + 37 * H2 - 9 * H3) / 24,
}


def pndm(schedule: NoiseSchedule, steps: int) -> Table:
    """Liu et al. 2022 (arXiv:2202.09778), without its Runge-Kutta start as Stable Diffusion wants.

    diffusers' PNDMScheduler with skip_prk_steps. The first step takes two calls.
    """
    schedule = schedule.with_terminal_signal()
    stride = schedule.length // steps
    timesteps = np.round(spaced(schedule, steps, TimestepSpacing.LEADING)).astype(int)

    def step(x: np.ndarray, m: np.ndarray, t: int) -> np.ndarray:
        a, a_prev = (schedule.alpha_cumprod(u, ends_at_one=False) for u in (t, t - stride))
        return ddim_step(schedule, x, m, a, a_prev)

    first, *rest = timesteps.tolist()
    calls = [SamplerCall(first, step(X, M, first), h=(M, X), completes_step=not rest)]
    if rest:
        second = rest[0]
        calls.append(SamplerCall(second, step(H2, (M + H1) / 2, second + stride), h=(H1,)))
    for number, t in enumerate(rest, start=1):
        x = step(X, _OUTPUTS[min(number, 3)], t)
        calls.append(SamplerCall(t, x, h=(M, H1, H2)[: number + 1]))
    return Table.of(calls)
