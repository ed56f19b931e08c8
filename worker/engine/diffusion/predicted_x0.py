"""How far an unfinished image is, as the model itself guesses it, through a tiny autoencoder."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import torch

from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.table import M, Table, X
from worker.engine.vae.decode import Decoded, decode

MAX_SIDE_PX: Final = 128

# x₀ = a · x + b · m, of what the model saw at one call and what it said.
X0Coefficients: TypeAlias = tuple[float, float]


def x0_coefficients(schedule: NoiseSchedule, table: Table) -> tuple[X0Coefficients, ...]:
    """How to guess x₀ at each call.

    Whatever the sampler, the model sees √ᾱ x₀ + √(1 − ᾱ) ε. Between timesteps ᾱ is interpolated:
    near enough to look at.
    """
    known = np.arange(schedule.length)
    found = []
    for t in table.inputs[:, 0]:
        x0 = schedule.denoised(X, M, float(np.interp(t, known, schedule.alphas_cumprod)))
        found.append((float(X @ x0), float(M @ x0)))
    return tuple(found)


def preview(stack: LoadedModel, latents: Sequence[torch.Tensor]) -> Decoded:
    """Guessed latents [C, h, w] of one size as small pictures, in one call of the tiny decoder."""
    return decode(stack, latents, vae=stack.taesd, max_side=MAX_SIDE_PX)
