"""The latent that an image starts from: pure noise, or a picture with noise."""

import torch

from latentry.contracts import MaskFill
from worker.engine.diffusion.passes import Pass
from worker.engine.diffusion.repaint import Repaint
from worker.engine.diffusion.sampler_state import SamplerState
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.encode import encode


@torch.inference_mode()
def start(order: Order, model: LoadedModel, first: Pass) -> tuple[SamplerState, Repaint | None]:
    """The state before the first call, and what is to be kept of the picture, if there is one.

    Draws come in the order of diffusers' pipelines: the encoder's sample, the noise, and with a
    mask the sample of the masked picture, which only UNets of nine channels look at.
    """
    generator = torch.Generator().manual_seed(order.seed)
    shape = model.latent_shape(order.request.width, order.request.height)
    if order.canvas is None:
        x = _noise(model, shape, generator) * first.initial_sigma
        return SamplerState.of(x, generator), None
    posterior = encode(model, order.canvas.picture, order.request.seamless)
    latent = posterior.sample(model.noise(shape, generator), model.vae.config)
    noise = _noise(model, shape, generator)
    level = first.levels[0]
    repaint = None
    begun = latent
    if (repainted := _repainted(order.canvas, shape, model)) is not None:
        model.noise(shape, generator)
        repaint = Repaint(repainted, latent, noise)
        begun = _under_mask(order.request.mask_fill, repaint)
    if repaint is not None and order.request.strength == 1:
        x = noise * first.initial_sigma
    else:
        x = level.signal * begun + level.noise * noise
    return SamplerState.of(x, generator), repaint


def _noise(
    model: LoadedModel, shape: tuple[int, int, int], generator: torch.Generator
) -> torch.Tensor:
    return model.noise(shape, generator).to(model.at.device)


def _repainted(
    canvas: Canvas, shape: tuple[int, int, int], model: LoadedModel
) -> torch.Tensor | None:
    """[1, h, w], by the first pixel of each cell, as torch's nearest interpolation takes it."""
    if canvas.repainted is None:
        return None
    factor = canvas.repainted.shape[0] // shape[1]
    cells = torch.from_numpy(canvas.repainted[::factor, ::factor].copy())
    return cells[None].to(model.at.device)


def _under_mask(fill: MaskFill, repaint: Repaint) -> torch.Tensor:
    """The picture's latent, with something else where it is repainted, if that is asked."""
    match fill:
        case MaskFill.NOISE:
            return torch.where(repaint.repainted, repaint.noise, repaint.latent)
        case MaskFill.EMPTY:
            return torch.where(repaint.repainted, 0.0, repaint.latent)
        case _:
            return repaint.latent
