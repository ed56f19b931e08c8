"""What the image of any mode has to equal: stock's, or the definition where stock has no such mode
or is wrong.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

from latentry.contracts import InpaintArea, MaskFill, ResolvedRequest, Sampler, Spacing, Upscaler
from latentry.rules.passes import passes
from tests import modes
from tests.modes import MODES, SPECIAL
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters.closet import closet_for
from tests.worker.engine.adapters.control.added import controlled
from tests.worker.engine.diffusion.test_edits import edited
from tests.worker.engine.diffusion.test_noise import slerp
from tests.worker.engine.diffusion.test_prompts_by_call import Plain
from tests.worker.engine.stock import Stock
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.plan import planned_passes
from worker.engine.inputs.canvas import Canvas
from worker.engine.inputs.clip_picture import clip_picture
from worker.engine.loop import Engine, Order

STEPS = 6
# Where stock itself is wrong, which docs/samplers.md explains.
_WRONG_FROM_PICTURES = {Sampler.LMS}
_WRONG_WITH_MASKS = {Sampler.LMS, Sampler.DPM2}


def order_of(
    mode: str,
    job: str = "",
    *,
    sampler: Sampler = Sampler.EULER,
    model: str = "sd1-epsilon",
    seed: int = 1,
    **changes: Any,
) -> Order:
    """A small order of this mode, with what it brings."""
    which = MODES[mode]
    fields = {"num_inference_steps": STEPS, "guidance_scale": 2.0, "seed": seed}
    order = oracle.order(
        job or mode,
        SPECIAL.get(which.channels, model),
        sampler,
        Spacing.DEFAULT,
        **(fields | which.as_resolved(seed) | changes),
    )
    canvas = Canvas.of(order.request, modes.pictures(seed))
    pictures = {place: clip_picture(one) for place, one in which.shown(seed).items()}
    order = replace(order, canvas=canvas, pictures=pictures)
    return closet_for(order.request.model).dressed(order) if has_adapters(order) else order


def has_adapters(order: Order) -> bool:
    """Whether it names any."""
    request = order.request
    named = (
        request.loras,
        request.embeddings,
        request.controls,
        request.image_prompts,
        request.vae,
    )
    return any(named)


def samplers_of(mode: str) -> list[Sampler]:
    """The samplers whose images of this mode stock, or the definition, draws rightly."""
    which, wrong = MODES[mode], set[Sampler]()
    if ("image" in which.brings and which.channels != 8) or "hires" in which.fields:
        wrong = _WRONG_FROM_PICTURES
    if ("mask" in which.brings or "extend" in which.fields) and which.channels == 4:
        wrong = _WRONG_WITH_MASKS
    return [one for one in Sampler if one not in wrong]


@dataclass(frozen=True, slots=True)
class Reference:
    """The stock pipelines, and what stands in for them where they are not made for a mode.

    backend: of the same models; of ours only what is between two passes is taken.
    """

    stock: Stock
    backend: Diffusion

    def error(self, latent: torch.Tensor, order: Order) -> float:
        """How far an image's latent is from what it has to be, in tolerances."""
        return stock.error(latent, self.latent_of(order))

    @torch.inference_mode()
    def latent_of(self, order: Order) -> torch.Tensor:
        """The final latent [C, h, w] of an order."""
        request = order.request
        if not has_adapters(order):
            return self._latent_of(order)
        closet, pipeline = closet_for(request.model), self.stock.pipeline(request.model)
        with closet.merged(pipeline, order, order.pictures):
            if not request.controls:
                return self._latent_of(order)
            self.stock.draw.cache_clear()  # it knows what it drew by the request alone
            with controlled(pipeline, request, closet.nets):
                return self._latent_of(order)

    def _latent_of(self, order: Order) -> torch.Tensor:
        request, model = order.request, self.backend.models[order.request.model]
        generator = torch.Generator().manual_seed(order.seed)
        if request.hires is not None:
            return self._enlarged(order, generator)
        if not request.num_inference_steps:
            return self._noise(request, generator)
        if model.edits:
            brought = Image.fromarray(modes.pictures(order.seed)["image"])
            return edited(self.stock, request, order.seed, brought)
        if order.canvas is not None:
            return self._redrawn(request, order.canvas, generator)
        if model.sees_masks:  # as AUTOMATIC1111: all of some picture is to be painted
            white, size = Image.new("L", (request.width, request.height), 255), (64, 64)
            anew = request.model_copy(update={"strength": 1.0})
            return self.stock.redraw(anew, generator, Image.new("RGB", size), white)
        if request.variation_seed is not None:
            return self._varied(request, generator)
        if "[" in request.prompt or "AND" in request.prompt:
            return Plain(self.stock, order).draw()
        return self.stock.draw(request.model_dump_json(), order.seed)

    def _noise(self, request: ResolvedRequest, generator: torch.Generator) -> torch.Tensor:
        model = self.backend.models[request.model]
        shape = model.latent_shape(request.width, request.height)
        return torch.randn(shape, generator=generator)

    def _varied(self, request: ResolvedRequest, generator: torch.Generator) -> torch.Tensor:
        """Stock's, from the noise that the definition says."""
        assert request.variation_seed is not None
        other = torch.Generator().manual_seed(request.variation_seed)
        noise, towards = self._noise(request, generator), self._noise(request, other)
        varied = slerp(request.variation_strength, noise, towards)
        plain = request.model_copy(update={"variation_seed": None, "variation_strength": 0.0})
        return self.stock.draw(plain.model_dump_json(), request.seed, noise=varied)

    def _redrawn(
        self, request: ResolvedRequest, canvas: Canvas, generator: torch.Generator
    ) -> torch.Tensor:
        """Stock's of the pictures themselves, or of the part that is drawn: see test_canvas.py."""
        if request.strength is None:  # of the steps 1 - denoise_start is made
            request = request.model_copy(update={"strength": 1 - request.denoise_start})
        brought = modes.pictures(request.seed)
        is_prepared = (
            request.extend is not None
            or request.inpaint_area is InpaintArea.MASKED
            or request.mask_fill is MaskFill.FILL
        )
        image = Image.fromarray(canvas.picture if is_prepared else brought["image"])
        mask = None
        if canvas.repainted is not None:
            mask = Image.fromarray(canvas.repainted if is_prepared else brought["mask"]).convert(
                "L"
            )
        with _on(request.mask_fill, canvas):
            return self.stock.redraw(request, generator, image, mask)

    def _enlarged(self, order: Order, generator: torch.Generator) -> torch.Tensor:
        """Stock's image to image of its first pass, from the generator as that has left it.

        Stock's samplers draw for a last step too that adds no noise, so the pipeline's own has gone
        too far. Pixels between the passes are ours: one that is rounded to another level differs by
        more than a tolerance.
        """
        request, model = order.request, self.backend.models[order.request.model]
        assert request.hires is not None
        first = replace(order, request=passes(request)[0])
        draws = 1 + (order.canvas is not None) + sum(planned_passes(first, model)[0].draws)
        for _ in range(draws):
            self._noise(first.request, generator)
        drawn: Any = self._latent_of(first)
        if request.hires.upscaler is Upscaler.LANCZOS:
            engine = Engine(self.backend)
            engine.submit(first)
            [ours] = tiny.pixels(tiny.drain(engine)).values()
            theirs = self.stock.pixels(request.model, drawn, request.seamless)
            assert abs(ours.astype(int) - theirs.astype(int)).max() <= 1
            drawn = ours
        return self.stock.enlarge(request, drawn, generator)


@contextmanager
def _on(fill: MaskFill, canvas: Canvas) -> Iterator[None]:
    """Stock's inpainting at a strength below 1, but on noise or on nothing under the mask.

    As AUTOMATIC1111's "latent noise" and "latent nothing"; the noise that is added is the same.
    """
    kind = StableDiffusionInpaintPipeline
    prepare = kind.prepare_latents

    def prepared(self: Any, *args: Any, **options: Any) -> Any:
        _, noise, latent = prepare(self, *args, **options)
        repainted = torch.from_numpy(canvas.repainted).float()[None, None]
        cells = torch.nn.functional.interpolate(repainted, noise.shape[2:]) > 0
        below = noise if fill is MaskFill.NOISE else torch.zeros_like(noise)
        begun = torch.where(cells, below, latent)
        return self.scheduler.add_noise(begun, noise, options["timestep"]), noise, latent

    with pytest.MonkeyPatch.context() as patch:
        if fill in (MaskFill.NOISE, MaskFill.EMPTY):
            patch.setattr(kind, "prepare_latents", prepared)
        yield
