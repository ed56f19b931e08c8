"""What an image starts from: pure noise, or a picture with noise."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from latentry.contracts import JobWarning, MaskFill, ResolvedRequest, Seamless
from worker.engine.diffusion.passes import Pass
from worker.engine.diffusion.sampler_state import SamplerState
from worker.engine.diffusion.start.noise import NoiseSource, slerp
from worker.engine.diffusion.start.repaint import Repaint
from worker.engine.diffusion.start.variation import varied
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.encode import Posterior, encode, image_of


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
    source: NoiseSource
    seamless: Seamless

    def noise(self) -> torch.Tensor:
        return self.source.draw(self.model, self.shape)

    def latent(self, image: torch.Tensor) -> torch.Tensor:
        noise = self.noise()
        return encode(self.model, image, self.seamless).sample(noise, self.model.vae.config)

    def latent_of(self, canvas: Canvas) -> torch.Tensor:
        """The same of a whole picture."""
        noise = self.noise()
        return self.posterior(canvas).sample(noise, self.model.vae.config)

    def posterior(self, canvas: Canvas) -> Posterior:
        """What the encoder says of a picture, asked once for all images that start from it."""
        encoded, vae = self.model.encoded, self.model.vae
        known: tuple[Any, Posterior] | None = encoded.get(canvas)
        if known is None or known[0] is not vae:
            known = vae, encode(self.model, image_of(canvas.picture), self.seamless)
            encoded[canvas] = known
        return known[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Begun:
    """What one picture begins with.

    noise [C, h, w]: unit noise on the CPU. latent [C, h, w]: what is under it; None if nothing is.
    """

    noise: torch.Tensor
    latent: torch.Tensor | None = None
    repaint: Repaint | None = None
    beside: torch.Tensor | None = None

    def towards(self, other: "_Begun", weight: float) -> "_Begun":
        """On the way to another one, which begins alike: noise and latent each on their sphere."""
        latent = beside = None
        if self.latent is not None and other.latent is not None:
            latent = slerp(self.latent, other.latent, weight)
        if self.beside is not None and other.beside is not None:
            beside = torch.lerp(self.beside, other.beside, weight)
        return _Begun(slerp(self.noise, other.noise, weight), latent, beside=beside)

    def x(self, first: Pass, device: torch.device) -> torch.Tensor:
        """[C, h, w] before the first call."""
        noise = self.noise.to(device)
        if self.latent is None:
            return noise * first.initial_sigma
        return first.levels[0].signal * self.latent + first.levels[0].noise * noise


@torch.inference_mode()
def start(order: Order, model: LoadedModel, first: Pass) -> Start:
    """Draw its noise, after and before encoding the pictures that it brings."""
    source = NoiseSource.of_seed(order.seed)
    begun = _begun(order.request, order.variation_seed, order.canvas, model, source)
    if (other := order.towards) is not None:
        request, second = other.request, NoiseSource.of_seed(other.request.seed)
        end = _begun(request, request.variation_seed_of(0), other.canvas, model, second)
        begun, source = begun.towards(end, other.weight), source.towards(second, other.weight)
    x = begun.x(first, model.at.device)
    return Start(SamplerState.of(x, source), begun.repaint, begun.beside)


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


def _begun(
    request: ResolvedRequest,
    variation_seed: int | None,
    canvas: Canvas | None,
    model: LoadedModel,
    source: NoiseSource,
) -> _Begun:
    shape = model.latent_shape(request.width, request.height, request.frames)
    draws = _Draws(model, shape, source, request.seamless)
    if canvas is not None and not model.edits:
        return _from_picture(request, variation_seed, canvas, draws)
    noise = _varied(draws, variation_seed, request.variation_strength)
    return _Begun(noise, beside=_beside_noise(canvas, draws))


def _varied(draws: _Draws, variation_seed: int | None, strength: float) -> torch.Tensor:
    """The noise, or one between it and another seed's if a variation is asked."""
    noise = draws.noise()
    if variation_seed is None:
        return noise
    other = replace(draws, source=NoiseSource.of_seed(variation_seed))
    return varied(noise, other.noise(), strength)


def _beside_noise(canvas: Canvas | None, draws: _Draws) -> torch.Tensor | None:
    """For an image that starts as noise: a picture to edit, or all to be painted, if it is seen.

    Of the picture to edit the encoder's mean, as diffusers' InstructPix2Pix pipelines take it:
    neither drawn from its posterior nor scaled to unit variance.
    """
    if draws.model.edits and canvas is not None:
        return draws.posterior(canvas).mean
    return _nothing_known(draws) if draws.model.sees_masks else None


def _from_picture(
    request: ResolvedRequest, variation_seed: int | None, canvas: Canvas, draws: _Draws
) -> _Begun:
    model = draws.model
    cells = _cells(canvas, draws.shape, model)
    is_pure_noise = cells is not None and request.strength == 1
    latent = None if is_pure_noise and model.sees_masks else draws.latent_of(canvas)
    noise = _varied(draws, variation_seed, request.variation_strength)
    repaint = beside = None
    if model.sees_masks:
        beside = _beside(canvas, cells, draws)
    elif cells is not None and latent is not None:
        draws.noise()  # stock encodes the masked picture for these UNets too
        repaint = Repaint(cells, latent, noise.to(model.at.device))
    if is_pure_noise or latent is None:
        return _Begun(noise, None, repaint, beside)
    under = latent if cells is None else _filled(request.mask_fill, cells, latent, noise)
    return _Begun(noise, under, repaint, beside)


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
            return torch.where(cells, noise.to(latent.device), latent)
        case MaskFill.EMPTY:
            return torch.where(cells, 0.0, latent)
        case _:
            return latent


def _beside(canvas: Canvas, cells: torch.Tensor | None, draws: _Draws) -> torch.Tensor:
    """The mask, and the latent of the picture in grey where it is repainted."""
    if canvas.repainted is None or cells is None:
        return _nothing_known(draws)
    kept = torch.from_numpy(~canvas.repainted)
    return torch.cat([cells.float(), draws.latent(image_of(canvas.picture) * kept)])


def _nothing_known(draws: _Draws) -> torch.Tensor:
    """The whole picture is to be painted, as AUTOMATIC1111 has it without a mask."""
    _, height, width = draws.shape
    factor = draws.model.vae_factor
    grey = torch.zeros(3, height * factor, width * factor)
    mask = torch.ones(1, height, width, device=draws.model.at.device)
    return torch.cat([mask, draws.latent(grey)])
