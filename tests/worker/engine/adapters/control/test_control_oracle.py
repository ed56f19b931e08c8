"""ControlNets against diffusers' own pipelines, alone and in a churning crowd."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from latentry.contracts import ControlMode, InputFile, ResolvedRequest, Sampler, Spacing
from tests import modes
from tests.worker.engine import oracle, stock
from tests.worker.engine.adapters.control.conftest import Carve, Made, controlled, picture
from tests.worker.engine.conftest import sharing
from tests.worker.engine.stock import Stock
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Engine, Order

pytestmark = stock.WARNINGS

FAMILIES = ["sd1-epsilon", "sd2-v", "sdxl-epsilon"]
IMAGE = InputFile(file="file_1", pixel_sha256="1", width=80, height=72)
Nets = dict[str, list[Made]]

# Of each way: fields of the request, and of its controls.
WAYS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "plain": ({}, [{}]),
    "half": ({"sampler": "heun"}, [{"weight": 0.5, "end": 0.7}]),
    "late": ({"sampler": "euler_a", "num_inference_steps": 5}, [{"start": 0.4, "weight": 1.7}]),
    "guessed": ({}, [{"mode": "guess", "weight": 0.8}]),
    "unguided": ({"guidance_scale": 1.0}, [{"mode": "guess"}]),
    "several": (
        {"sampler": "dpmpp_2m"},
        [{"weight": 0.6}, {"end": 0.5, "weight": 0.9}],
    ),
    "image": ({"strength": 0.6, "image": IMAGE}, [{"end": 0.8}]),
    "image, guessed": ({"strength": 0.8, "image": IMAGE}, [{"mode": "guess"}]),
    "inpainted": ({"strength": 1.0, "image": IMAGE, "mask": IMAGE}, [{}]),
    "inpainted in part": ({"strength": 0.7, "image": IMAGE, "mask": IMAGE}, [{"start": 0.3}, {}]),
}


@pytest.fixture(scope="module")
def nets(reference: Stock, carve: Carve) -> Nets:
    return {
        family: [carve(reference.pipeline(family).unet, seed) for seed in (1, 2)]
        for family in FAMILIES
    }


def order_of(
    backend: Diffusion, nets: Nets, family: str, way: str, job: str = "job", **changes: Any
) -> Order:
    fields, controls = WAYS[way]
    fields = {"num_inference_steps": 4, "guidance_scale": 2.0} | fields | changes
    sampler = Sampler(fields.pop("sampler", "euler"))
    order = oracle.order(job, family, sampler, Spacing.DEFAULT, **fields)
    order = replace(order, canvas=Canvas.of(order.request, modes.pictures(3)))
    worn = [
        (made, made.control(seed, **one))
        for seed, (made, one) in enumerate(zip(nets[family], controls, strict=False))
    ]
    return controlled(backend, order, *worn)


def resized(image: Image.Image, request: ResolvedRequest) -> Image.Image:
    return image.resize((request.width, request.height), Image.Resampling.LANCZOS)


def by_stock(reference: Stock, nets: Sequence[Made], order: Order) -> torch.Tensor:
    """The final latent of diffusers' pipeline with ControlNets."""
    request = order.request
    parts = reference.pipeline(request.model)
    is_xl = "XL" in type(parts).__name__
    kind = "Inpaint" if request.mask else "Img2Img" if request.image else ""
    name = f"StableDiffusion{'XL' if is_xl else ''}ControlNet{kind}Pipeline"
    controls = request.controls
    used = [made.network for made in nets[: len(controls)]]
    parts.scheduler = stock.scheduler(
        reference._configs[request.model], request.sampler, request.spacing
    )
    net = used[0] if len(used) == 1 else used
    pipeline = getattr(diffusers, name)(**parts.components, controlnet=net)
    pipeline.set_progress_bar_config(disable=True)
    pictures = [
        resized(Image.fromarray(picture(int(one.image.pixel_sha256))), request) for one in controls
    ]

    def of(values: Sequence[Any]) -> Any:
        return values[0] if len(values) == 1 else list(values)

    brought = {one: Image.fromarray(pixels) for one, pixels in modes.pictures(3).items()}
    given: dict[str, Any] = {"image": of(pictures)}
    if kind:
        image = brought["image"] if kind == "Inpaint" else resized(brought["image"], request)
        given = {"image": image, "control_image": of(pictures), "strength": request.strength}
    if kind == "Inpaint":
        given["mask_image"] = brought["mask"].convert("L")
    drawn = pipeline(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt or None,
        width=request.width,
        height=request.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        controlnet_conditioning_scale=of([one.weight for one in controls]),
        control_guidance_start=of([one.start for one in controls]),
        control_guidance_end=of([one.end for one in controls]),
        guess_mode=any(one.mode is ControlMode.GUESS for one in controls),
        generator=torch.Generator().manual_seed(order.seed),
        output_type="latent",
        **given,
    )
    latent: torch.Tensor = drawn.images[0]
    return latent


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_stocks_picture(
    every_model: Diffusion, reference: Stock, nets: Nets, family: str, way: str
) -> None:
    order = order_of(every_model, nets, family, way)
    latent = oracle.alone(Engine(sharing(every_model)), order)
    assert stock.error(latent, by_stock(reference, nets[family], order)) <= 1
    plain = replace(order, request=order.request.model_copy(update={"controls": ()}), controls=())
    assert stock.error(latent, oracle.alone(Engine(sharing(every_model)), plain)) > 100
