"""LoRAs with all that an image may have besides: as a model with the LoRA in its weights draws."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from latentry.contracts import InputFile
from latentry.errors import EngineError
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Made, Worn, dressed
from tests.worker.engine.conftest import serving
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Engine, Order
from worker.engine.loop.messages import Towards

STRENGTH, TEXT_STRENGTH = 0.7, -0.4
FILE = InputFile(file="file_1", pixel_sha256="1", width=64, height=64)
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unguided in the end": {"guidance_stop": 0.4, "num_inference_steps": 5},
    "features reused": {"cache_interval": 3, "num_inference_steps": 5},
    "prompts by call": {"prompt": "[cat:dog:1] AND [a|b] :0.5", "negative_prompt": "x"},
    "several chunks": {"prompt": "cat " * 60, "clip_skip": 1},
    "seamless": {"seamless": "x"},
    "hires": {"hires": {"width": 96, "height": 96, "steps": 4, "strength": 0.7}},
    "hires by pixels": {
        "hires": {"width": 96, "height": 96, "steps": 4, "strength": 0.7, "upscaler": "lanczos"},
    },
    "image to image": {"image": FILE, "strength": 0.7},
    "inpainting": {"image": FILE, "mask": FILE, "strength": 1.0},
    "two calls a step": {"sampler": "heun", "num_inference_steps": 3},
    "strict": {"determinism": "strict"},
}


@pytest.fixture(scope="module")
def made(tailor: Tailor) -> Made:
    return tailor(11, convolutions=True, networks=("unet", "text_encoder"), alphas=(2.0, 5.0))


@pytest.fixture(scope="module")
def both(
    folders: dict[str, Path],
    tiny_networks: SimpleNamespace,
    made: Made,
    tmp_path_factory: pytest.TempPathFactory,
) -> Diffusion:
    """The model, and the same with the LoRA merged into its weights."""
    merged = tmp_path_factory.mktemp("merged") / "model"
    shutil.copytree(folders["epsilon"], merged)
    with written.merged(tiny_networks, (made.deltas, STRENGTH, TEXT_STRENGTH)):
        for part in ("unet", "text_encoder"):
            getattr(tiny_networks, part).save_pretrained(merged / part)
    return serving({"epsilon": folders["epsilon"], "merged": merged})


def with_canvas(order: Order) -> Order:
    if order.request.image is None:
        return order
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    mask = np.zeros_like(pixels)
    mask[16:48, 16:48] = 255
    return replace(order, canvas=Canvas.of(order.request, {"image": pixels, "mask": mask}))


@pytest.mark.parametrize("way", WAYS)
def test_it_is_as_if_merged(both: Diffusion, made: Made, way: str) -> None:
    fields = {"num_inference_steps": 4, "guidance_scale": 2.0, "sampler": "euler"} | WAYS[way]
    order = with_canvas(tiny.order("job", model="epsilon", **fields))
    of_merged = with_canvas(tiny.order("job", model="merged", **fields))
    worn = dressed(both, order, [Worn(made, STRENGTH, TEXT_STRENGTH)])
    latent = oracle.alone(Engine(both), worn)
    # A picture between two passes has 256 levels a channel: a rounding may choose the next one.
    most = 4 if "pixels" in way else 1
    assert stock.error(latent, oracle.alone(Engine(both), of_merged)) <= most
    assert stock.error(latent, oracle.alone(Engine(both), order)) > 100


def test_a_frame_between_two_pictures_has_it_too(both: Diffusion, made: Made) -> None:
    def between(order: Order) -> Order:
        other = order.request.model_copy(update={"prompt": "a dog", "seed": 9})
        return replace(order, towards=Towards(other, 0.4))

    order, of_merged = (tiny.order("job", model=one) for one in ("epsilon", "merged"))
    worn = between(dressed(both, order, [Worn(made, STRENGTH, TEXT_STRENGTH)]))
    latent = oracle.alone(Engine(both), worn)
    assert stock.error(latent, oracle.alone(Engine(both), between(of_merged))) <= 1
    assert stock.error(latent, oracle.alone(Engine(both), between(order))) > 100


def test_in_bfloat16_it_is_as_far_off_as_bfloat16_is(
    folders: dict[str, Path], both: Diffusion, made: Made
) -> None:
    half = Diffusion(device="cpu", dtype="bfloat16", threads=1)
    half.load("epsilon", folders["epsilon"])
    order = tiny.order("job", model="epsilon", guidance_scale=2.0)

    def relative(worn: list[Worn]) -> float:
        exact = oracle.alone(Engine(both), dressed(both, order, worn))
        rough = oracle.alone(Engine(half), dressed(half, order, worn))
        return float((exact - rough).norm() / exact.norm())

    assert relative([Worn(made, STRENGTH)]) < 3 * relative([])


def test_a_prompt_is_remembered_with_what_its_text_encoder_had(
    folders: dict[str, Path], made: Made, tailor: Tailor
) -> None:
    backend = serving({"epsilon": folders["epsilon"]})
    conditioner = backend.models["epsilon"].conditioner
    before = conditioner.cache.size_bytes
    plain = tiny.order("job", model="epsilon", guidance_scale=1.0)
    unet_alone = tailor(12)

    def begin(*worn: Worn) -> tuple[torch.Tensor, int]:
        order = dressed(backend, plain, worn)
        trajectory, _ = backend.begin(order, backend.plan(order))
        return trajectory.active_conditioning.hidden, conditioner.cache.size_bytes - before

    hidden, one = begin()
    assert begin(Worn(unet_alone))[1] == one, "it changes no text encoder"
    assert begin(Worn(made, 1.0, 0.0))[1] == one
    others = [begin(Worn(made)), begin(Worn(made, 1.0, 0.5)), begin(Worn(made), Worn(made))]
    assert [size for _, size in others] == [2 * one, 3 * one, 4 * one]
    assert not any(torch.equal(hidden, other) for other, _ in others)
    assert torch.equal(begin()[0], hidden)
    again, size = begin(Worn(made))
    assert (torch.equal(again, others[0][0]), size) == (True, 4 * one)


def test_no_compiled_call_has_a_row_with_adapters(
    compiling: tuple[Diffusion, list[int]], made: Made
) -> None:
    """Fast rows without one share the eager call; alone they are compiled again."""
    backend, compiled = compiling
    order = tiny.order("plain", model="epsilon")
    plain, _ = backend.begin(order, backend.plan(order))
    worn, _ = backend.begin(dressed(backend, order, [Worn(made)]), backend.plan(order))
    backend.advance([plain, worn], plain.rows + worn.rows)
    assert not compiled
    backend.advance([plain], plain.rows)
    assert len(compiled) == 1


def test_hooks_are_gone_after_a_call_that_failed(both: Diffusion, made: Made) -> None:
    model = both.models["epsilon"]
    order = dressed(both, tiny.order("job", model="epsilon"), [Worn(made)])
    trajectory, _ = both.begin(order, both.plan(order))
    trajectory.passes[0].conditioning.at(0).hidden.resize_(0)
    with pytest.raises(EngineError):
        both.advance([trajectory], trajectory.rows)
    assert not any(module._forward_hooks for module in model.unet.modules())
