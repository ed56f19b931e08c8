"""Seamless images: exact beside stock with circular convolutions, and smooth across the edges."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.overrides import _get_current_function_mode_stack

from latentry.contracts import Sampler, Seamless, Spacing
from latentry.errors import EngineError
from latentry.low_memory import LowMemory
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.stock import Stock
from worker.batching import BatchKey
from worker.engine.diffusion.denoise import denoise
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Order
from worker.engine.seamless import padded
from worker.engine.unet.eager import eager
from worker.engine.vae.decode import decode

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


def test_packages_which_have_their_padding_baked_in_are_not_used(
    every_model: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def spy(model: Any, inputs: Any, compiled: Any = None) -> torch.Tensor:
        found.append(compiled)
        return eager(model.unet, inputs)

    monkeypatch.setattr("worker.engine.diffusion.denoise.unet.call", spy)
    packages: Any = object()
    for tiling in (Seamless.NONE, Seamless.Y):
        asked = order(seamless=tiling)
        trajectory, _ = every_model.begin(asked, every_model.plan(asked))
        denoise(trajectory.model, [trajectory], trajectory.rows, packages)
    assert found == [packages, None]


@pytest.mark.parametrize("padding", [0, 1, (1, 0), (2, 1)])
def test_a_convolution_pads_each_direction_by_its_own_padding(padding: Any) -> None:
    torch.manual_seed(0)
    ours = torch.nn.Conv2d(3, 2, 3, padding=padding)
    theirs = torch.nn.Conv2d(3, 2, 3, padding=padding, padding_mode="circular")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 6, 5)
    with padded(Seamless.BOTH):
        assert ours(x).equal(theirs(x))


def shapes(low_memory: frozenset[LowMemory] = frozenset()) -> Diffusion:
    backend = Diffusion(device="cpu", dtype="float32", low_memory=low_memory)
    backend.load("shapes", SHAPES)
    return backend


@pytest.fixture(scope="module")
def whole() -> Diffusion:
    return shapes()


def drawn(
    backend: Diffusion, tiling: Seamless, *, seed: int, roll: int = 0
) -> tuple[torch.Tensor, NDArray[np.int_]]:
    """A latent after two steps, all texture, and its pixels; from noise moved by so many cells."""
    asked = tiny.order(
        model="shapes", prompt="", width=96, height=96, num_inference_steps=2,
        guidance_scale=1.0, sampler="ddim", seed=seed, seamless=tiling,
    )  # fmt: skip
    trajectory, _ = backend.begin(asked, backend.plan(asked))
    trajectory.sampler.latents = trajectory.sampler.latents.roll((roll, roll), (-2, -1))
    while trajectory.calls_left:
        backend.advance([trajectory], trajectory.rows)
    [pixels] = backend.decode([trajectory]).take()
    return trajectory.latent, np.asarray(pixels).astype(int)


def step_across(pixels: NDArray[np.int_], axis: int) -> float:
    """The mean step from the last line of pixels to the first, in levels."""
    ends = np.take(pixels, [0, -1], axis=axis)
    return float(np.abs(np.diff(ends, axis=axis)).mean())


@pytest.fixture(scope="module")
def pictures(whole: Diffusion) -> dict[Seamless, list[NDArray[np.int_]]]:
    return {tiling: [drawn(whole, tiling, seed=s)[1] for s in range(3)] for tiling in Seamless}


@pytest.mark.parametrize("tiling", TILINGS)
def test_the_edges_of_a_drawn_picture_meet_as_smoothly_as_lines_inside(
    pictures: dict[Seamless, list[NDArray[np.int_]]], tiling: Seamless
) -> None:
    """Axis 1 is x; the other direction keeps its seam."""
    for axis, name in ((1, Seamless.X), (0, Seamless.Y)):
        seam = np.mean([step_across(one, axis) for one in pictures[tiling]])
        usual = np.mean([step_across(one, axis) for one in pictures[Seamless.NONE]])
        lines = [np.abs(np.diff(one, axis=axis)).mean((1 - axis, 2)) for one in pictures[tiling]]
        roughest = np.mean([one.max() for one in lines])
        if tiling in (name, Seamless.BOTH):
            assert seam < 0.7 * usual
            assert seam <= roughest
        else:
            assert seam > 0.7 * usual


def test_a_seamless_picture_has_no_place_where_it_begins(whole: Diffusion) -> None:
    """Noise that is moved around gives the same picture, moved: nothing knows of an edge."""
    _, still = drawn(whole, Seamless.BOTH, seed=0)
    _, moved = drawn(whole, Seamless.BOTH, seed=0, roll=4)
    expected = np.roll(still, (32, 32), (0, 1))
    assert np.abs(moved - expected).max() <= 1
    _, plain = drawn(whole, Seamless.NONE, seed=0)
    _, moved_plain = drawn(whole, Seamless.NONE, seed=0, roll=4)
    assert np.abs(moved_plain - np.roll(plain, (32, 32), (0, 1))).max() > 10


def test_tiles_of_a_vae_that_lacks_memory_do_not_meet_themselves(whole: Diffusion) -> None:
    tiled = shapes(frozenset({LowMemory.VAE_TILES})).models["shapes"]
    latent, pixels = drawn(whole, Seamless.BOTH, seed=0)
    assert tiled.vae.tile_latent_min_size < 3 * latent.shape[-1], "with its surroundings in tiles"
    [decoded] = decode(tiled, [latent], seamless=Seamless.BOTH).take()
    [apart] = decode(tiled, [latent]).take()
    found = np.asarray(decoded).astype(int)
    assert found.shape == pixels.shape
    of_edges = np.abs(np.asarray(apart).astype(int) - pixels).mean()
    assert np.abs(found - pixels).mean() < 0.3 * of_edges
    for axis in (0, 1):
        assert step_across(found, axis) < 0.7 * step_across(np.asarray(apart).astype(int), axis)


def test_previews_of_seamless_images_change_no_bit(whole: Diffusion) -> None:
    changes = {"model": "shapes", "width": 96, "height": 96, "num_inference_steps": 2}
    found = []
    for interval in (0, 1):
        engine = Engine(whole)
        engine.submit(tiny.order(seamless=Seamless.BOTH, preview_interval=interval, **changes))
        found.append(tiny.pixels(tiny.drain(engine))["job"].tobytes())
    assert found[0] == found[1]
