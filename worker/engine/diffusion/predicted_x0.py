"""The picture that an unfinished image is heading for, as its model predicts it."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import torch

from latentry.contracts import IntermediateKind, ResolvedRequest
from latentry.errors import EngineError
from worker.engine.loop.backend import Pictures, Taken
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.samplers.schedule import NoiseSchedule
from worker.engine.samplers.table import M, X
from worker.engine.vae.decode import decode

# (a, b) of x₀ = a · x + b · m, where x is the UNet's input at one call and m its output.
X0Coefficients: TypeAlias = tuple[float, float]
WATCHED_SIDE_PX: Final = 512  # of previews to which no request gives a size


def prediction_intervals(request: ResolvedRequest, watched_every: int = 0) -> tuple[int, ...]:
    """After every how many steps the prediction is shown: by a preview that the request asks for,
    or that somebody wants who looks at it, or by a stored picture.
    """
    preview, wanted = request.preview_interval or watched_every, request.intermediates
    stored = wanted is not None and IntermediateKind.PREDICTED in wanted.kinds
    return (*((preview,) if preview else ()), *((wanted.every,) if wanted and stored else ()))


def preview_side(request: ResolvedRequest) -> int:
    """The longest side of its previews, in pixels."""
    return request.preview_size if request.preview_interval else WATCHED_SIDE_PX


def x0_coefficients(schedule: NoiseSchedule, timestep: float) -> X0Coefficients:
    """How to predict x₀ at a call of this timestep.

    Whatever the sampler, the model sees √ᾱ x₀ + √(1 − ᾱ) ε. Between timesteps ᾱ is interpolated:
    near enough to look at.
    """
    timesteps = np.arange(schedule.length)
    at = float(np.interp(timestep, timesteps, schedule.alphas_cumprod))
    x0 = schedule.denoised(X, M, at)
    return float(X @ x0), float(M @ x0)


def preview(model: LoadedModel, latents: Sequence[torch.Tensor], sides: Sequence[int]) -> Pictures:
    """Predicted latents [C, h, w] as small pictures, in one tiny decoder's call if of one size.

    `sides`: of each the longest side in pixels that is wanted.
    """
    if model.taesd is None:
        return Taken([EngineError(f"{model.card.id} has no previews.")] * len(latents))
    # Some may be about to be enlarged, and some requests want larger ones.
    if len({(latent.shape, side) for latent, side in zip(latents, sides, strict=True)}) > 1:
        each = zip(latents, sides, strict=True)
        apart = [preview(model, [latent], [side]) for latent, side in each]
        return Taken([answer for pictures in apart for answer in pictures.take()])
    return decode(model, latents, vae=model.taesd, max_side=sides[0])
