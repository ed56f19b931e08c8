"""Linear multistep methods: a step with what the model said at the last calls, extrapolated."""

import math
from collections.abc import Sequence

import numpy as np

from worker.engine.samplers.ddim import ddim_step
from worker.engine.samplers.dpmpp import level_at
from worker.engine.samplers.schedule import Array, NoiseSchedule
from worker.engine.samplers.scheduler_config import TimestepSpacing
from worker.engine.samplers.spacing import (
    fractional_walk,
    initial_sigma,
    input_scale,
    spaced,
    whole_walk,
)
from worker.engine.samplers.table import H1, H2, H3, Level, M, SamplerCall, Table, X

# Adams–Bashforth weights over the newest outputs, times their denominators.
_OUTPUTS = {
    1: (3 * M - H1) / 2,
    2: (23 * M - 16 * H1 + 5 * H2) / 12,
    3: (55 * M - 59 * H1 + 37 * H2 - 9 * H3) / 24,
}
# Gauss–Legendre nodes on [-1, 1]: two integrate the cubics of lms exactly.
_NODES = (-1 / math.sqrt(3), 1 / math.sqrt(3))
# diffusers' DEISMultistep takes its last step in first order below so many steps.
_FEW_STEPS = 15


def pndm(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Liu et al. 2022 (arXiv:2202.09778), without its Runge-Kutta start as Stable Diffusion wants.

    diffusers' PNDMScheduler with skip_prk_steps. The first step takes two calls. What is skipped is
    counted in calls, as diffusers does.
    """
    schedule = schedule.with_terminal_signal()
    stride = schedule.length // steps
    timesteps = np.round(spaced(schedule, steps, TimestepSpacing.LEADING)).astype(int).tolist()

    def step(x: np.ndarray, m: np.ndarray, t: int) -> np.ndarray:
        a, a_prev = (schedule.alpha_cumprod(u, ends_at_one=False) for u in (t, t - stride))
        return ddim_step(schedule, x, m, a, a_prev)

    # The second call is made again where the first one led to, and so its timestep stands twice.
    visited = [*timesteps[:1], *timesteps[1:2], *timesteps[1:]][skip:]
    calls = []
    for number, t in enumerate(visited):
        level = Level.at_alpha(schedule.alphas_cumprod[t])
        if number == 0:
            is_only = len(visited) == 1
            calls.append(SamplerCall(t, level, step(X, M, t), h=(M, X), completes_step=is_only))
        elif number == 1:
            calls.append(SamplerCall(t, level, step(H2, (M + H1) / 2, t + stride), h=(H1,)))
        else:
            x = step(X, _OUTPUTS[min(number - 1, 3)], t)
            calls.append(SamplerCall(t, level, x, h=(M, H1, H2)[:number]))
    return Table.of(calls, skipped=skip)


def lms(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Crowson's k-diffusion, sample_lms, of order 4; diffusers' LMSDiscreteScheduler.

    Adams–Bashforth for uneven steps: dx/dσ is the polynomial through its last four values.
    """
    schedule = schedule.with_terminal_signal()
    timesteps, sigmas = fractional_walk(schedule, steps, skip)
    calls = []
    for i, t in enumerate(timesteps):
        sigma = float(sigmas[i])
        d = (X - schedule.denoised_at(X, M, sigma)) / sigma
        known = sigmas[max(i - 3, 0) : i + 1][::-1]
        weights = _lagrange_integrals(known, sigma, float(sigmas[i + 1]))
        x = X + sum(weight * slope for weight, slope in zip(weights, (d, H1, H2, H3), strict=False))
        calls.append(
            SamplerCall(
                t, Level.at_sigma(sigma), x, h=(d, H1, H2)[: i + 1], scale=input_scale(sigma)
            )
        )
    return Table.of(
        calls,
        initial_sigma=initial_sigma(schedule, sigmas),
        skipped=skip,
    )


def _lagrange_integrals(known: Sequence[float] | Array, start: float, end: float) -> list[float]:
    """From start to end, the integral of each Lagrange polynomial over up to four known points."""
    half, middle = (end - start) / 2, (end + start) / 2
    return [
        half
        * sum(
            math.prod(
                (middle + half * node - other) / (one - other) for other in known if other != one
            )
            for node in _NODES
        )
        for one in known
    ]


def deis(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Zhang & Chen 2022 (arXiv:2204.13902), log-ρ of order 2; diffusers' DEISMultistepScheduler.

    ε is linear in log ρ, where ρ = σ, and integrated over ρ. As in diffusers the last step ends at
    the lowest training level, not at 0; a spacing of σ is there already, and the step does nothing.
    """
    schedule = schedule.with_terminal_signal()
    timesteps, sigmas = whole_walk(schedule, steps, skip)
    sigmas[-1] = schedule.sigmas[0]
    calls = []
    for i, t in enumerate(timesteps):
        sigma, sigma_next = float(sigmas[i]), float(sigmas[i + 1])
        eps = schedule.noise(X, M, input_scale(sigma) ** 2)
        if i == 0 or (i + 1 == len(timesteps) and steps < _FEW_STEPS):
            moved = (sigma_next - sigma) * eps
        else:
            before = float(sigmas[i - 1])
            moved = _log_integral(sigma, sigma_next, one_at=sigma, zero_at=before) * eps
            moved = moved + _log_integral(sigma, sigma_next, one_at=before, zero_at=sigma) * H1
        x = input_scale(sigma_next) * (X / input_scale(sigma) + moved)
        calls.append(SamplerCall(t, level_at(sigma), x, h=(eps,)))
    return Table.of(calls, skipped=skip)


def _log_integral(start: float, end: float, *, one_at: float, zero_at: float) -> float:
    """From start to end, the integral of the line in log ρ with these values 1 and 0."""

    def antiderivative(rho: float) -> float:
        return rho * (math.log(rho / zero_at) - 1) / math.log(one_at / zero_at)

    return antiderivative(end) - antiderivative(start)
