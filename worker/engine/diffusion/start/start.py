"""What an image starts from: pure noise, or a picture with noise."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from latentry.contracts import JobWarning, MaskFill, Seamless
from worker.engine.diffusion.passes import Pass
from worker.engine.diffusion.sampler_state import SamplerState
from worker.engine.diffusion.start.repaint import Repaint
from worker.engine.diffusion.start.variation import varied
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.encode import encode, image_of


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The state before the first call.

    repaint: what is kept of a picture, for UNets that do not see it. beside [C', h, w]: for those
    that do, the channels that stand beside x in every call: a mask and the masked picture's latent,
    or the latent of a picture to edit.
    """

    sampler: SamplerState
    repaint: Repaint | None = None
    beside: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """An image's draws, in the order of diffusers' pipelines: the encoder's sample of the picture,
    the noise, the sample of the masked picture.
    """

    model: LoadedModel
    shape: tuple[int, int, int]
    generator: torch.Generator
    seamless: Seamless

    def noise(self) -> torch.Tensor:
        return self.on_cpu().to(self.model.at.device)

    def on_cpu(self) -> torch.Tensor:
        return self.model.noise(self.shape, self.generator)

    def latent(self, image: torch.Tensor) -> torch.Tensor:
        noise = self.model.noise(self.shape, self.generator)
        return encode(self.model, image, self.seamless).sample(noise, self.model.vae.config)


@torch.inference_mode()
def start(order: Order, model: LoadedModel, first: Pass) -> Start:
    """Draw its noise, after and before encoding the pictures that it brings."""
    generator = torch.Generator().manual_seed(order.seed)
    request = order.request
    shape = model.latent_shape(request.width, request.height, request.frames)
    draws = _Draws(model, shape, generator, request.seamless)
    if order.canvas is None or model.edits:
        noise = _varied(draws, order).to(model.at.device)
        sampler = SamplerState.of(noise * first.initial_sigma, generator)
        return Start(sampler, beside=_beside_noise(order, draws))
    return _from_picture(order, order.canvas, draws, first)


def mask_warnings(order: Order, model: LoadedModel) -> list[JobWarning]:
    """Says so where a mask has no effect: of each cell of the latent the first pixel counts."""
    if order.canvas is None or order.canvas.repainted is None:
        return []
    factor = model.vae_factor
    if order.canvas.repainted[::factor, ::factor].any():
        return []
    why = (
        f"The mask repaints no cell of {factor} × {factor} pixels, so the picture stays as it is; "
        "draw it larger, or with inpaint_area: masked."
    )
    return [JobWarning(code="mask_without_effect", message=why)]


def _varied(draws: _Draws, order: Order) -> torch.Tensor:
    """The noise, or one between it and another seed's if a variation is asked; on the CPU."""
    noise = draws.on_cpu()
    if order.variation_seed is None:
        return noise
    other = replace(draws, generator=torch.Generator().manual_seed(order.variation_seed))
    return varied(noise, other.on_cpu(), order.request.variation_strength)


def _beside_noise(order: Order, draws: _Draws) -> torch.Tensor | None:
    """For an image that starts as noise: a picture to edit, or all to be painted, if it is seen.

    Of the picture to edit the encoder's mean, as diffusers' InstructPix2Pix pipelines take it:
    neither drawn from its posterior nor scaled to unit variance.
    """
    if draws.model.edits and order.canvas is not None:
        return encode(draws.model, image_of(order.canvas.picture), draws.seamless).mean
    return _nothing_known(draws) if draws.model.sees_masks else None


def _from_picture(order: Order, canvas: Canvas, draws: _Draws, first: Pass) -> Start:
    model, image = draws.model, image_of(canvas.picture)
    cells = _cells(canvas, draws.shape, model)
    is_pure_noise = cells is not None and order.request.strength == 1
    latent = None if is_pure_noise and model.sees_masks else draws.latent(image)
    noise = draws.noise()
    repaint = beside = None
    if model.sees_masks:
        beside = _beside(canvas, cells, image, draws)
    elif cells is not None and latent is not None:
        draws.noise()  # stock encodes the masked picture for these UNets too
        repaint = Repaint(cells, latent, noise)
    if is_pure_noise or latent is None:
        x = noise * first.initial_sigma
    else:
        begun = latent if cells is None else _filled(order.request.mask_fill, cells, latent, noise)
        x = first.levels[0].signal * begun + first.levels[0].noise * noise
    return Start(SamplerState.of(x, draws.generator), repaint, beside)


def _cells(canvas: Canvas, shape: tuple[int, int, int], model: LoadedModel) -> torch.Tensor | None:
    """[1, h, w], by the first pixel of each cell, as torch's nearest interpolation takes it."""
    if canvas.repainted is None:
        return None
    factor = canvas.repainted.shape[0] // shape[1]
    cells = np.ascontiguousarray(canvas.repainted[::factor, ::factor])
    return torch.from_numpy(cells)[None].to(model.at.device)


def _filled(
    fill: MaskFill, cells: torch.Tensor, latent: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """The picture's latent, with something else where it is repainted, if that is asked."""
    match fill:
        case MaskFill.NOISE:
            return torch.where(cells, noise, latent)
        case MaskFill.EMPTY:
            return torch.where(cells, 0.0, latent)
        case _:
            return latent


def _beside(
    canvas: Canvas, cells: torch.Tensor | None, image: torch.Tensor, draws: _Draws
) -> torch.Tensor:
    """The mask, and the latent of the picture in grey where it is repainted."""
    if canvas.repainted is None or cells is None:
        return _nothing_known(draws)
    kept = torch.from_numpy(~canvas.repainted)
    return torch.cat([cells.float(), draws.latent(image * kept)])


def _nothing_known(draws: _Draws) -> torch.Tensor:
    """The whole picture is to be painted, as AUTOMATIC1111 has it without a mask."""
    _, height, width = draws.shape
    factor = draws.model.vae_factor
    grey = torch.zeros(3, height * factor, width * factor)
    mask = torch.ones(1, height, width, device=draws.model.at.device)
    return torch.cat([mask, draws.latent(grey)])
