"""Seamless images: exact beside stock with circular convolutions, and smooth across the edges."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

from latentry.contracts import Sampler, Seamless, Spacing
from latentry.errors import EngineError
from latentry.low_memory import LowMemory
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.stock import Stock
from worker.batching import BatchKey
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Order
from worker.engine.seamless import padded

pytestmark = stock.WARNINGS

TILINGS = [Seamless.X, Seamless.Y, Seamless.BOTH]
SHAPES = Path(__file__).parents[4] / "models" / "shapes"


@pytest.fixture
def engine(every_model: Diffusion) -> Engine[Any]:
    return Engine(every_model)


def order(job: str = "job", model: str = "sd1-epsilon", **changes: Any) -> Order:
    sampler, spacing = Sampler.DPMPP_2M, Spacing.DEFAULT
    fields = {"guidance_scale": 2.0, "width": 96} | changes
    return oracle.order(job, model, sampler, spacing, **fields)


@pytest.mark.parametrize("model", ["sd1-epsilon", "sd2-v", "sdxl-epsilon"])
@pytest.mark.parametrize("tiling", TILINGS)
def test_a_seamless_picture_equals_stock_with_circular_convolutions(
    engine: Engine[Any], reference: Stock, tiling: Seamless, model: str
) -> None:
    asked = order(model=model, seamless=tiling)
    ours = oracle.alone(engine, asked)
    assert oracle.judge(ours, asked, reference).is_equal
    plain = oracle.alone(engine, order(model=model))
    assert not ours.allclose(plain, atol=1e-3), "it changes the picture"


@pytest.mark.parametrize("tiling", TILINGS)
def test_its_pixels_are_stock_s_to_a_level(
    engine: Engine[Any], reference: Stock, tiling: Seamless
) -> None:
    asked = order(seamless=tiling)
    engine.submit(asked)
    [done] = [event for event in tiny.drain(engine) if isinstance(event, Done)]
    latent = reference.draw(asked.request.model_dump_json(), asked.seed)
    theirs = reference.pixels("sd1-epsilon", latent, tiling)
    assert np.abs(done.pixels.astype(int) - theirs.astype(int)).max() <= 1
    unlike = reference.pixels("sd1-epsilon", latent)
    assert np.abs(done.pixels.astype(int) - unlike.astype(int)).max() > 1


@pytest.mark.parametrize("seed", range(2))
def test_in_a_mixed_churning_crowd_each_equals_stock(
    engine: Engine[Any], reference: Stock, seed: int
) -> None:
    chance = random.Random(f"seamless {seed}")
    orders = []
    for number in range(16):
        one = oracle.any_order(f"job-{number}", chance)
        tiling = list(Seamless)[number % 4]
        changes = {"seamless": tiling, "model": "sd1-v", "width": 64, "height": 64}
        orders.append(replace(one, request=one.request.model_copy(update=changes)))
    latents = oracle.in_a_crowd(engine, orders, chance)
    by_job = {one.job: one for one in orders}
    assert len({by_job[job].request.seamless for job in latents}) == len(Seamless)
    assert not oracle.missed(
        {job: oracle.judge(latent, by_job[job], reference) for job, latent in latents.items()}
    )


@pytest.mark.parametrize("interval", [1, 2])
def test_in_strict_mode_seamless_neighbours_change_no_bit_and_none_of_theirs_is_changed(
    engine: Engine[Any], interval: int
) -> None:
    watched = [
        order(f"watched-{tiling}", seamless=tiling, determinism="strict", cache_interval=interval)
        for tiling in Seamless
    ]
    alone = {one.job: oracle.alone(engine, one) for one in watched}
    crowd = [order(f"job-{n}", seamless=tiling, seed=n) for n, tiling in enumerate(TILINGS)]
    latents = dict[str, torch.Tensor]()
    while not latents.keys() >= alone.keys():  # one may have been canceled
        latents = oracle.in_a_crowd(engine, [*watched, *crowd], random.Random(len(latents)))
    assert all(latents[job].equal(latent) for job, latent in alone.items())


def test_the_directions_and_the_plain_share_no_call() -> None:
    keys = [BatchKey("model", 8, 8, 1, seamless=tiling) for tiling in Seamless]
    assert len(set(keys)) == len(Seamless)
    assert len({key.cost_key for key in keys}) == 2, "their calls take the same time"


def test_nothing_is_left_behind_even_by_a_call_that_failed(
    every_model: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet = every_model.models["sd1-epsilon"].unet
    before = [dict(module.__dict__) for module in unet.modules()]
    asked = order(seamless=Seamless.BOTH)
    trajectory, _ = every_model.begin(asked, every_model.plan(asked))

    def fail(*_: Any, **__: Any) -> None:
        assert _get_current_function_mode_stack(), "the call is seamless"
        raise RuntimeError("as a kernel might")

    with monkeypatch.context() as patch:
        patch.setattr(unet.mid_block, "forward", fail)
        with pytest.raises(EngineError):
            every_model.advance([trajectory], trajectory.rows)
    assert _get_current_function_mode_stack() == []
    assert [dict(module.__dict__) for module in unet.modules()] == before


@pytest.mark.parametrize("padding", [0, 1, (1, 0), (2, 1)])
def test_a_convolution_pads_each_direction_by_its_own_padding(padding: Any) -> None:
    torch.manual_seed(0)
    ours = torch.nn.Conv2d(3, 2, 3, padding=padding)
    theirs = torch.nn.Conv2d(3, 2, 3, padding=padding, padding_mode="circular")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 6, 5)
    with padded(Seamless.BOTH):
        assert ours(x).equal(theirs(x))


@pytest.fixture(scope="module")
def shapes() -> Diffusion:
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load("shapes", SHAPES)
    return backend


@pytest.fixture(scope="module")
def shapes_in_tiles() -> Diffusion:
    backend = Diffusion(
        device="cpu", dtype="float32", low_memory=frozenset({LowMemory.VAE_TILES})
    )
    backend.load("shapes", SHAPES)
    return backend


def drawn(backend: Diffusion, tiling: Seamless, **changes: Any) -> np.ndarray:
    fields = {
        "model": "shapes", "prompt": "a red circle at the right, blue background",
        "width": 128, "height": 96, "num_inference_steps": 12, "guidance_scale": 2.0,
        "sampler": "ddim", "seed": 3, "seamless": tiling, "preview_interval": 4,
    }  # fmt: skip
    engine = Engine(backend)
    engine.submit(tiny.order(**(fields | changes)))
    return tiny.pixels(tiny.drain(engine))["job"].astype(int)


def seam(pixels: np.ndarray, axis: int) -> float:
    """The step from the last line of pixels to the first, in steps from one line to the next."""
    inside = np.abs(np.diff(pixels, axis=axis)).mean()
    ends = np.take(pixels, [0, -1], axis=axis)
    return float(np.abs(np.diff(ends, axis=axis)).mean() / max(inside, 1e-9))


@pytest.mark.parametrize("tiling", list(Seamless))
def test_a_drawn_picture_goes_on_at_its_opposite_edge(shapes: Diffusion, tiling: Seamless) -> None:
    pixels = drawn(shapes, tiling, prompt="a large green star", seed=5)
    print(tiling, seam(pixels, 1), seam(pixels, 0))
