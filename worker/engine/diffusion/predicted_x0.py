"""The picture that an unfinished image is heading for, as its model predicts it."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import torch

from latentry.contracts import IntermediateKind, ResolvedRequest
from worker.engine.loop.backend import Pictures, Taken
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.table import M, Table, X
from worker.engine.vae.decode import decode

MAX_SIDE_PX: Final = 128

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


def preview(model: LoadedModel, latents: Sequence[torch.Tensor]) -> Pictures:
    """Predicted latents [C, h, w] as small pictures, in one tiny decoder's call if of one size."""
    if len({latent.shape for latent in latents}) > 1:  # some are about to be enlarged
        apart = [preview(model, [latent]) for latent in latents]
        return Taken([answer for pictures in apart for answer in pictures.take()])
    return decode(model, latents, vae=model.taesd, max_side=MAX_SIDE_PX)
