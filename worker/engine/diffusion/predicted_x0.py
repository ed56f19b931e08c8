"""The picture that an unfinished image is heading for, as its model predicts it."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch

from latentry.contracts import IntermediateKind, ResolvedRequest
from worker.engine.loop.backend import Pictures, Taken
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.table import M, Table, X
from worker.engine.vae.decode import decode

# (a, b) of x₀ = a · x + b · m, where x is the UNet's input at one call and m its output.
X0Coefficients: TypeAlias = tuple[float, float]


def prediction_intervals(request: ResolvedRequest) -> tuple[int, ...]:
    """After every how many steps the prediction is shown, by a preview or a stored picture."""
    preview, wanted = request.preview_interval, request.intermediates
    stored = wanted is not None and IntermediateKind.PREDICTED in wanted.kinds
    return (*((preview,) if preview else ()), *((wanted.every,) if wanted and stored else ()))


def x0_coefficients(schedule: NoiseSchedule, table: Table) -> tuple[X0Coefficients, ...]:
    """How to predict x₀ at each call.

    Whatever the sampler, the model sees √ᾱ x₀ + √(1 − ᾱ) ε. Between timesteps ᾱ is interpolated:
    near enough to look at.
    """
    timesteps = np.arange(schedule.length)
    found = []
    for t in table.inputs[:, 0]:
        x0 = schedule.denoised(X, M, float(np.interp(t, timesteps, schedule.alphas_cumprod)))
        found.append((float(X @ x0), float(M @ x0)))
    return tuple(found)


def preview(model: LoadedModel, latents: Sequence[torch.Tensor], sides: Sequence[int]) -> Pictures:
    """Predicted latents [C, h, w] as small pictures, in one tiny decoder's call if of one size.

    `sides`: of each the longest side in pixels that its request wants.
    """
    # Some may be about to be enlarged, and some requests want larger ones.
    if len({(latent.shape, side) for latent, side in zip(latents, sides, strict=True)}) > 1:
        each = zip(latents, sides, strict=True)
        apart = [preview(model, [latent], [side]) for latent, side in each]
        return Taken([answer for pictures in apart for answer in pictures.take()])
    return decode(model, latents, vae=model.taesd, max_side=sides[0])
