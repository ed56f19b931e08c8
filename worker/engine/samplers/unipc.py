"""UniPC: a predictor, and a corrector that reuses the next call's output and so costs no call."""

import math

from worker.engine.samplers.dpmpp import denoised, integrate, level_at
from worker.engine.samplers.schedule import Array, NoiseSchedule
from worker.engine.samplers.spacing import input_scale, whole_walk
from worker.engine.samplers.table import H1, H2, H3, SamplerCall, Table, X


def unipc(schedule: NoiseSchedule, steps: int, skip: int = 0) -> Table:
    """Zhao et al. 2023 (arXiv:2302.04867), UniPC-2 with B₂(h) = eʰ − 1; diffusers' UniPCMultistep.

    Remembered: the corrected latent, and the denoised latents of the last two calls.
    """
    timesteps, sigmas = whole_walk(schedule, steps, skip)
    calls = []
    for i, t in enumerate(timesteps):
        d = denoised(schedule, sigmas[i])
        x = _corrected(d, sigmas[: i + 1]) if i else X
        slope = d
        if 0 < i < len(timesteps) - 1:
            slope = d + (d - H2) / (2 * _ratio(sigmas[i - 1 : i + 2]))
        calls.append(
            SamplerCall(
                t, level_at(sigmas[i]), integrate(x, slope, sigmas[i], sigmas[i + 1]), h=(x, d, H2)
            )
        )
    return Table.of(calls, skipped=skip)


def _corrected(d: Array, sigmas: Array) -> Array:
    """x at the last of `sigmas`, corrected by the denoised form d there: UniC of the paper."""
    sigma, sigma_next = (float(level) for level in sigmas[-2:])
    h = math.log(sigma / sigma_next)
    gain = input_scale(sigma_next) * (1 - sigma_next / sigma)
    plain = integrate(H1, H2, sigma, sigma_next)
    if len(sigmas) == 2:
        return plain + gain * (d - H2) / 2
    r = -_ratio(sigmas[-3:])
    phi_1 = math.expm1(-h)
    phi_2 = phi_1 / -h - 1
    phi_3 = phi_2 / -h - 1 / 2
    b_1, b_2 = phi_2 / phi_1, 2 * phi_3 / phi_1
    # The solution of w₁ + w₂ = b₁, r w₁ + w₂ = b₂.
    w_1 = (b_2 - b_1) / (r - 1)
    return plain + gain * (w_1 * (H3 - H2) / r + (b_1 - w_1) * (d - H2))


def _ratio(sigmas: Array) -> float:
    """Length in λ = −log σ of the step between the first two σ, in steps between the last two."""
    before, sigma, after = (float(level) for level in sigmas)
    return math.log(before / sigma) / math.log(sigma / after)
