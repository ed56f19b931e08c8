"""T2I-Adapters against diffusers' own pipelines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from latentry.contracts import Sampler, Spacing
from latentry.errors import UnsupportedField, UnsupportedSize
from tests.worker.engine import oracle, stock
from tests.worker.engine.adapters.control.conftest import Carve, Made, controlled, picture
from tests.worker.engine.adapters.control.written import t2i_adapter
from tests.worker.engine.conftest import serving, sharing
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order

pytestmark = stock.WARNINGS

FULL, LIGHT = {}, {"adapter_type": "light_adapter", "channels": [32, 64], "num_res_blocks": 3}
GREY = {"in_channels": 1}
SD1, SDXL = "sd1-deep", "sdxl-deep"
# Of each way: the model, its adapters, fields of the request, and of its controls.
WAYS: dict[str, tuple[str, list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]] = {
    "full": (SD1, [FULL], {}, [{}]),
    "light": (SD1, [LIGHT], {"sampler": "heun"}, [{"weight": 1.7}]),
    "grey": (SD1, [GREY], {"sampler": "euler_a"}, [{"weight": 0.6}]),
    "unguided": (SD1, [FULL], {"guidance_scale": 1.0, "width": 72}, [{}]),
    "two": (
        SD1, [FULL, GREY | LIGHT],
        {"sampler": "dpmpp_2m"}, [{"weight": 0.5}, {"weight": 0.9}],
    ),
    "SDXL": (SDXL, [FULL], {"sampler": "dpmpp_2m"}, [{"weight": 0.8}]),
    "SDXL in a window": (SDXL, [FULL], {"num_inference_steps": 5}, [{"end": 0.5}]),
    "SDXL, odd sides": (SDXL, [GREY], {"width": 80, "height": 112}, [{"weight": 1.2}]),
}  # fmt: skip


@pytest.fixture(scope="module")
def backend(three_levels: Mapping[str, Path]) -> Diffusion:
    return serving(three_levels)


def by_stock(parts: Any, nets: Sequence[Made], order: Order) -> torch.Tensor:
    """The final latent of diffusers' pipeline with T2I-Adapters."""
    request, is_xl = order.request, "XL" in type(parts).__name__
    config = oracle.MODELS["sdxl-epsilon" if is_xl else "sd1-epsilon"].config
    parts.scheduler = stock.scheduler(config, request.sampler, request.spacing)
    kind = f"StableDiffusion{'XL' if is_xl else ''}AdapterPipeline"
    used = [made.network for made in nets]
    adapter = used[0] if len(used) == 1 else diffusers.MultiAdapter(used)
    has = dict(parts.components) if is_xl else parts.components | {"requires_safety_checker": False}
    if not is_xl:  # its pipeline is older than IP-Adapters
        del has["image_encoder"]
    pipeline = getattr(diffusers, kind)(**has, adapter=adapter)
    pipeline.set_progress_bar_config(disable=True)
    shown = [
        Image.fromarray(picture(int(one.image.pixel_sha256)))
        .resize((request.width, request.height), Image.Resampling.LANCZOS)
        .convert("L" if net.config.in_channels == 1 else "RGB")
        for one, net in zip(request.controls, used, strict=True)
    ]
    weights = [one.weight for one in request.controls]
    more = {"adapter_conditioning_factor": request.controls[0].end} if is_xl else {}
    drawn = pipeline(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt or None,
        image=shown[0] if len(used) == 1 else shown,
        width=request.width,
        height=request.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        adapter_conditioning_scale=weights[0] if len(used) == 1 else weights,
        generator=torch.Generator().manual_seed(order.seed),
        output_type="latent",
        **more,
    )
    latent: torch.Tensor = drawn.images[0]
    return latent


@pytest.mark.parametrize("way", WAYS)
def test_it_is_stocks_picture(
    backend: Diffusion, three_levels: Mapping[str, Path], carve: Carve, way: str
) -> None:
    model, adapters, fields, controls = WAYS[way]
    parts = stock._pipeline(three_levels[model])
    nets = [carve(parts.unet, 20 + k, t2i_adapter, **one) for k, one in enumerate(adapters)]
    fields = {"num_inference_steps": 4, "guidance_scale": 2.0, "sampler": "euler"} | fields
    sampler = Sampler(fields.pop("sampler"))
    plain = oracle.order("job", model, sampler, Spacing.DEFAULT, **fields)
    worn = [
        (made, made.control(seed, **one))
        for seed, (made, one) in enumerate(zip(nets, controls, strict=True))
    ]
    order = controlled(backend, plain, *worn)
    latent = oracle.alone(Engine(sharing(backend)), order)
    assert stock.error(latent, by_stock(parts, nets, order)) <= 1
    assert stock.error(latent, oracle.alone(Engine(sharing(backend)), plain)) > 100


def test_what_a_worker_cannot_show_it_is_refused_by_name(backend: Diffusion, carve: Carve) -> None:
    made = carve(backend.models[SDXL].unet, 20, t2i_adapter)
    order = oracle.order("job", SDXL, Sampler.EULER, Spacing.DEFAULT, width=72)
    odd = controlled(backend, order, (made, made.control()))
    with pytest.raises(UnsupportedSize, match="multiples of 16"):
        backend.begin(odd, backend.plan(odd))
    request = order.request.model_copy(update={"width": 64})
    guessed = controlled(
        backend, replace(order, request=request), (made, made.control(mode="guess"))
    )
    with pytest.raises(UnsupportedField, match="T2I-Adapter, which has no mode guess"):
        backend.plan(guessed)
