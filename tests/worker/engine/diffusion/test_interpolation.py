"""Frames between pictures: what they begin with, what they are conditioned on, and their ends."""

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from latentry.contracts import InputFile, Sampler
from tests.worker.engine import tiny, ways
from tests.worker.engine.conftest import sharing
from tests.worker.engine.trajectories import begun
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.start.noise import slerp
from worker.engine.loop import Engine, Order, Pixels, Step

IMAGE = InputFile(file="file_1", pixel_sha256="1" * 64, width=64, height=64)
OTHER = InputFile(file="file_2", pixel_sha256="2" * 64, width=64, height=64)
STRICT = {"determinism": "strict"}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "seeds": ({"seed": 1}, {"seed": 2}, {}),
    "prompts": ({"prompt": "a red circle"}, {"prompt": "a star", "negative_prompt": "fog"}, {}),
    "all": (
        {"seed": 1, "guidance_scale": 3.0},
        {"seed": 2, "guidance_scale": 7.0, "guidance_rescale": 0.5, "prompt": "a blue star"},
        {"sampler": "euler_a"},
    ),
    "by call": (
        {"prompt": "[a cat|a dog] AND fog"},
        {"prompt": "[a:b:0.5] AND [snow:rain:1] :0.5"},
        {"sampler": "heun"},
    ),
    "long": ({"prompt": "a red circle"}, {"prompt": "a circle " * 50}, {}),
    "hires": (
        {"seed": 1},
        {"seed": 2},
        {
            "sampler": "dpmpp_2m_sde",
            "hires": {
                "width": 96, "height": 64, "steps": 3, "strength": 0.7, "upscaler": "lanczos",
            },
        },
    ),
    "pictures": ({"image": IMAGE, "seed": 1}, {"image": OTHER, "seed": 2}, {"strength": 0.8}),
}  # fmt: skip


def picture(number: int) -> Pixels:
    return np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def orders(name: str, frames: int = 3, **shared: Any) -> list[Order]:
    first, last, common = WAYS[name]
    request = ways.way(frames, first, last, **(common | shared))
    return ways.orders(request, *([picture(1), picture(2)] if request.image else []))


def plain(name: str, which: int, **shared: Any) -> Order:
    """The order of the plain picture of a keyframe."""
    fields = WAYS[name][which] | WAYS[name][2] | shared
    request = tiny.request(**fields)
    same = ways.orders(
        ways.way(2, fields, fields), *([picture(which + 1)] * 2 if request.image else [])
    )
    return Order("plain", 0, request, request.seed, canvas=same[0].canvas)


def drawn(backend: Diffusion, *submitted: Order) -> dict[str, bytes]:
    engine = Engine(sharing(backend))
    for order in submitted:
        engine.submit(order)
    return {job: one.tobytes() for job, one in tiny.pixels(tiny.drain(engine)).items()}


@pytest.mark.parametrize("name", WAYS)
def test_the_ends_of_the_way_are_the_plain_pictures_bit_for_bit(backend, name) -> None:
    chance = random.Random(name)
    crowd = [
        tiny.order(f"n{k}", seed=k, num_inference_steps=chance.randint(1, 4)) for k in range(5)
    ]
    crowd += [replace(one, job=f"b{one.index}") for one in orders("seeds", frames=4)]
    submitted = [*orders(name, **STRICT), *crowd]
    chance.shuffle(submitted)
    found = drawn(backend, *submitted)
    assert found["frame-0"] == drawn(backend, plain(name, 0, **STRICT))["plain"]
    assert found["frame-2"] == drawn(backend, plain(name, 1, **STRICT))["plain"]
    assert found["frame-1"] not in (found["frame-0"], found["frame-2"])


@pytest.mark.parametrize("name", WAYS)
def test_a_frame_has_the_same_bits_alone_and_in_a_crowd(backend, name) -> None:
    middle = orders(name, **STRICT)[1]
    crowd = [*orders(name, frames=5)[1:4], *(tiny.order(f"n{k}", seed=k) for k in range(4))]
    crowd = [replace(one, job=f"crowd-{number}") for number, one in enumerate(crowd)]
    assert drawn(backend, middle)["frame-1"] == drawn(backend, *crowd, middle)["frame-1"]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("calls", [2, 3])
def test_a_frame_goes_on_from_its_checkpoint_with_the_same_bits(backend, name, calls) -> None:
    middle = orders(name, num_inference_steps=6, **STRICT)[1]
    first, second = Engine(sharing(backend)), Engine(sharing(backend))
    first.submit(middle)
    for _ in range(calls):
        first.step()
    [saved] = first.save("frame-1")
    second.submit(replace(middle, checkpoint=saved.checkpoint))
    events = tiny.drain(second)
    assert min(one.step for one in events if isinstance(one, Step)) > saved.step > 0
    assert tiny.pixels(events)["frame-1"].tobytes() == drawn(backend, middle)["frame-1"]


def plain_slerp(a: np.ndarray, b: np.ndarray, weight: float) -> np.ndarray:
    """As in the usual scripts: of the vectors' directions, weights by the angle between them."""
    low, high = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    cosine = low @ high / math.sqrt((low @ low) * (high @ high))
    angle = math.acos(cosine)
    parts = math.sin((1 - weight) * angle), math.sin(weight * angle)
    return ((parts[0] * low + parts[1] * high) / math.sin(angle)).reshape(a.shape)


@pytest.mark.parametrize("weight", [0.1, 0.25, 0.5, 0.9])
def test_noise_is_interpolated_on_the_sphere(backend, weight) -> None:
    a, b = (torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    found = slerp(a, b, weight).numpy()
    np.testing.assert_allclose(
        found, plain_slerp(a.numpy(), b.numpy(), weight), rtol=1e-6, atol=1e-6
    )
    lengths = sorted(float(one.norm()) for one in (a, b))
    assert lengths[0] * 0.99 < np.linalg.norm(found) < lengths[1] * 1.01, "no shorter in between"


def test_equal_noises_stay_as_they_are() -> None:
    a = torch.randn(4, 8, 8)
    assert torch.equal(slerp(a, a.clone(), 0.3), a)


@pytest.mark.parametrize("sampler", ["euler_a", "dpmpp_2m_sde", "ddpm", "lcm"])
def test_all_noise_of_a_frame_is_between_that_of_its_keyframes(backend, sampler) -> None:
    middle = orders("seeds", frames=5, sampler=sampler)[1]
    own, other = plain("seeds", 0, sampler=sampler), plain("seeds", 1, sampler=sampler)
    found, first, second = (begun(backend, one) for one in (middle, own, other))
    sigma = found.passes[0].initial_sigma
    assert middle.towards
    assert middle.towards.weight == 0.25
    drawn = [(one.latent / sigma).numpy() for one in (found, first, second)]
    np.testing.assert_allclose(drawn[0], plain_slerp(*drawn[1:], 0.25), rtol=1e-5, atol=1e-5)
    later = [one.noise().numpy() for one in (found, first, second)]
    np.testing.assert_allclose(later[0], plain_slerp(*later[1:], 0.25), rtol=1e-5, atol=1e-5)


def test_pictures_are_interpolated_by_their_latents(backend) -> None:
    middle, own, other = orders("pictures")[1], plain("pictures", 0), plain("pictures", 1)
    found, first, second = (begun(backend, one) for one in (middle, own, other))
    level = found.passes[0].levels[0]
    noises, latents = [], []
    for one, seed in ((first, 1), (second, 2)):
        generator = torch.Generator().manual_seed(seed)
        torch.randn(4, 8, 8, generator=generator)  # the encoder's sample
        noises.append(torch.randn(4, 8, 8, generator=generator).numpy())
        latents.append((one.latent.numpy() - level.noise * noises[-1]) / level.signal)
    expected = level.signal * plain_slerp(*latents, 0.5) + level.noise * plain_slerp(*noises, 0.5)
    np.testing.assert_allclose(found.latent.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_picture_is_encoded_once_for_all_frames(backend, monkeypatch) -> None:
    from worker.engine.diffusion.start import start

    encoded = []
    encode = start.encode
    monkeypatch.setattr(start, "encode", lambda *a: encoded.append(a) or encode(*a))
    drawn(backend, *orders("pictures", frames=6))
    assert len(encoded) == 2


@pytest.mark.parametrize("call", [0, 1, 3])
def test_conditioning_is_interpolated_linearly_call_by_call(backend, call) -> None:
    middle = orders("by call", frames=5)[1]
    found, first, second = (
        begun(backend, one).current.conditioning.at(call)
        for one in (middle, plain("by call", 0), plain("by call", 1))
    )
    expected = 0.75 * first.hidden + 0.25 * second.hidden
    torch.testing.assert_close(found.hidden, expected, rtol=1e-5, atol=1e-6)
    assert found.weights == pytest.approx((1.0, 0.75 * 1.0 + 0.25 * 0.5))


def test_sdxl_s_pooled_prompts_and_sizes_are_interpolated_too(every_model) -> None:
    backend = sharing(every_model)
    model = next(name for name in backend.models if "sdxl" in name)
    fields = (
        {"model": model, "original_size": (64, 64)},
        {"model": model, "prompt": "x", "original_size": (128, 96)},
    )
    middle = ways.orders(ways.way(3, *fields))[1]
    ends = [tiny.order(**one) for one in fields]
    found, first, second = (begun(backend, one).active_conditioning for one in (middle, *ends))
    for name in ("text_embeds", "time_ids"):
        expected = (first.added[name] + second.added[name]) / 2
        torch.testing.assert_close(found.added[name], expected, rtol=1e-5, atol=1e-6)


def test_prompts_of_other_lengths_are_padded_between_and_not_at_the_ends(backend) -> None:
    chunks = [begun(backend, one).key.chunks for one in orders("long")]
    ends = [begun(backend, plain("long", which)).key.chunks for which in (0, 1)]
    assert chunks == [ends[0], ends[1], ends[1]]
    assert ends[0] < ends[1]


def test_frames_share_calls_with_each_other_and_with_plain_pictures(backend) -> None:
    engine = Engine(backend)
    for order in (*orders("seeds", frames=4), tiny.order("plain")):
        engine.submit(order)
    engine.step()
    assert engine.last_step.used == 10, "two rows of each of five"


def test_a_frame_on_a_keyframe_in_between_is_its_plain_picture(backend) -> None:
    request = ways.way(5, {"seed": 1}, {"seed": 2, "prompt": "b"}, {"seed": 3}, **STRICT)
    found = drawn(backend, *ways.orders(request))
    alone = tiny.order("plain", seed=2, prompt="b", **STRICT)
    assert found["frame-2"] == drawn(backend, alone)["plain"]


def test_in_fast_mode_the_ends_are_as_near_as_any_picture_in_a_crowd(backend) -> None:
    found = drawn(
        backend, *orders("all", frames=5), *(tiny.order(f"n{k}", seed=k) for k in range(3))
    )
    for index, which in ((0, 0), (4, 1)):
        alone = np.frombuffer(drawn(backend, plain("all", which))["plain"], np.uint8).astype(int)
        in_crowd = np.frombuffer(found[f"frame-{index}"], np.uint8)
        assert np.abs(in_crowd - alone).max() <= 1


def test_a_variation_is_on_the_way_too(backend) -> None:
    fields = {"seed": 1, "variation_seed": 8, "variation_strength": 0.5}, {"seed": 2}
    middle = ways.orders(ways.way(3, *fields))[1]
    found, first, second = (
        begun(backend, one).latent.numpy() for one in (middle, *(tiny.order(**f) for f in fields))
    )
    np.testing.assert_allclose(found, plain_slerp(first, second, 0.5), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.DDIM])
def test_a_half_way_frame_differs_from_both_ends(backend, sampler) -> None:
    found = drawn(backend, *orders("all", sampler=sampler))
    assert len(set(found.values())) == 3
