"""The noise that images start from: what it depends on, variations of it, and nothing but it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from latentry.contracts import InputFile, Sampler
from tests import modes
from tests.worker.engine import tiny
from tests.worker.engine.conftest import sharing
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.start.variation import varied
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Done, Engine, Pixels, Step

FAMILIES = [one for one in tiny.Family if one is not tiny.Family.REFINER]  # it takes a picture
FILE = InputFile(file="file_1", pixel_sha256="1", width=modes.WIDTH, height=modes.HEIGHT)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Diffusion:
    """Models of equal latent size that share nothing else: weights, families, schedules."""
    root = tmp_path_factory.mktemp("family")
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    for seed, family in enumerate(FAMILIES):
        config = tiny.EPSILON if family is not tiny.Family.SD2 else tiny.V_ZERO_SNR
        backend.load(family, tiny.make(root / family, config, family=family, seed=seed))
    return backend


def unit_noise(backend: Diffusion, **fields: Any) -> torch.Tensor:
    """What an image starts from, in units of its sampler's first noise level."""
    order = tiny.order(**fields)
    trajectory, _ = backend.begin(order, backend.plan(order))
    return trajectory.latent / trajectory.passes[0].initial_sigma


def picture(backend: Diffusion, index: int = 0, **fields: Any) -> Pixels:
    engine = Engine(sharing(backend))
    engine.submit(tiny.order(index=index, **fields))
    [done] = [one for one in tiny.drain(engine) if isinstance(one, Done)]
    return done.pixels


@pytest.mark.parametrize("sampler", Sampler)
def test_the_noise_of_a_seed_is_the_same_for_all_models_prompts_and_samplers(
    family: Diffusion, sampler: Sampler
) -> None:
    expected = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))[0]
    for model in FAMILIES:
        for fields in (
            {"prompt": "a blue star", "guidance_scale": 1.0},
            {"num_inference_steps": 9, "negative_prompt": "red"},
        ):
            found = unit_noise(family, model=model, sampler=sampler, seed=3, **fields)
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_the_noise_depends_on_seed_and_size(family: Diffusion) -> None:
    noise = unit_noise(family, model="sd1", seed=3)
    assert not torch.equal(noise, unit_noise(family, model="sd1", seed=4))
    wide = unit_noise(family, model="sd1", seed=3, width=128)
    assert wide.shape == (4, 8, 16)


@pytest.mark.parametrize("determinism", ["fast", "strict"])
def test_without_steps_the_picture_is_the_starting_noise_whatever_the_sampler(
    backend: Diffusion, determinism: str
) -> None:
    engine = Engine(backend)
    for sampler in Sampler:
        fields = {"num_inference_steps": 0, "sampler": sampler, "determinism": determinism}
        engine.submit(tiny.order(sampler, **fields, seed=3, guidance_scale=5.0))
    engine.submit(tiny.order("beside", seed=3))
    events = tiny.drain(engine)
    pictures = tiny.pixels(events)
    shown = [pictures[sampler] for sampler in Sampler]
    assert {event.job for event in events if isinstance(event, Step)} == {"beside"}
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    model = backend.models["epsilon"]
    with torch.inference_mode():
        image = model.vae.decode(noise / 0.18215, return_dict=False)[0][0]
    expected = ((image / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    for one in shown:
        assert np.abs(one.astype(float) - expected).max() <= 1
        assert (one == shown[0]).all()
    assert (pictures["beside"] != shown[0]).any()


def test_without_steps_a_checkpoint_is_as_good_as_none(backend: Diffusion) -> None:
    order = tiny.order(num_inference_steps=0)
    trajectory, _ = backend.begin(order, backend.plan(order))
    saved = backend.save(trajectory)
    again = tiny.order(num_inference_steps=0)
    resumed, _ = backend.begin(
        type(again)(again.job, 0, again.request, again.seed, saved), backend.plan(again)
    )
    assert torch.equal(resumed.latent, trajectory.latent)


def slerp(strength: float, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The definition, written out for one column after the other in NumPy's fp64."""
    out = np.empty(low.shape)
    a, b = low.double().numpy(), high.double().numpy()
    for c in range(a.shape[0]):
        for x in range(a.shape[2]):
            one, two = a[c, :, x], b[c, :, x]
            cosine = one @ two / np.sqrt(one @ one) / np.sqrt(two @ two)
            angle = np.arccos(cosine)
            out[c, :, x] = (
                np.sin((1 - strength) * angle) * one + np.sin(strength * angle) * two
            ) / np.sin(angle)
    return torch.from_numpy(out).float()


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.5, 0.9])
def test_variations_are_a1111_s_slerp_of_columns(strength: float) -> None:
    generator = torch.Generator().manual_seed(1)
    low, high = (torch.randn(4, 16, 8, generator=generator) for _ in range(2))
    torch.testing.assert_close(
        varied(low, high, strength), slerp(strength, low, high), rtol=1e-6, atol=1e-6
    )


def test_nearly_parallel_noises_are_interpolated_linearly() -> None:
    noise = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(varied(noise, noise, 0.3), noise), "no 0 / 0"
    torch.testing.assert_close(varied(noise, noise * 1.01, 0.5), noise * 1.005)


@pytest.mark.parametrize("sampler", [Sampler.DDIM, Sampler.HEUN, Sampler.DPMPP_2M])
def test_a_full_variation_is_the_other_seed_s_picture_and_none_is_its_own(
    backend: Diffusion, sampler: Sampler
) -> None:
    fields = {"sampler": sampler, "determinism": "strict"}
    own, other = (picture(backend, seed=seed, **fields) for seed in (3, 4))
    full = picture(backend, seed=3, variation_seed=4, variation_strength=1.0, **fields)
    none = picture(backend, seed=3, variation_seed=4, variation_strength=0.0, **fields)
    half = picture(backend, seed=3, variation_seed=4, variation_strength=0.5, **fields)
    assert (full == other).all()
    assert (none == own).all()
    assert (half != own).any()
    assert (half != other).any()


def test_noise_that_is_drawn_later_stays_that_of_the_seed(backend: Diffusion) -> None:
    order = tiny.order(seed=3, variation_seed=4, variation_strength=1.0, sampler=Sampler.EULER_A)
    trajectory, _ = backend.begin(order, backend.plan(order))
    generator = torch.Generator().manual_seed(3)
    torch.randn(4, 8, 8, generator=generator)
    later = trajectory.noise()
    assert later is not None
    assert torch.equal(later, torch.randn(4, 8, 8, generator=generator))


def test_the_images_of_a_job_are_variations_of_the_first_one_s_seed(backend: Diffusion) -> None:
    fields = {"seed": 3, "variation_seed": 4, "variation_strength": 0.3, "n": 3}
    request = tiny.request(**fields)
    assert [request.seed_of(index) for index in range(3)] == [3, 3, 3]
    assert [request.variation_seed_of(index) for index in range(3)] == [4, 5, 6]
    third = request.of_image(2)
    alone = picture(backend, **third.model_dump(exclude_none=True))
    engine = Engine(sharing(backend))
    engine.submit(type(tiny.order())("job", 2, request, request.seed_of(2)))
    assert (tiny.pixels(tiny.drain(engine))["job"] == alone).all()
    assert json.dumps(third.pixel_fields()) == json.dumps(request.pixel_fields())


@pytest.mark.parametrize("brings", [("image",), ("image", "mask")])
def test_a_picture_gets_the_varied_noise_too(backend: Diffusion, brings: tuple[str, ...]) -> None:
    def begun(**fields: Any) -> Trajectory:
        order = tiny.order(seed=3, strength=0.6, **dict.fromkeys(brings, FILE), **fields)
        given = {name: modes.pictures(1)[name] for name in brings}
        order = replace(order, canvas=Canvas.of(order.request, given))
        return backend.begin(order, backend.plan(order))[0]

    plain = begun()
    full = begun(variation_seed=4, variation_strength=1.0)
    half = begun(variation_seed=4, variation_strength=0.5)
    level = plain.current.levels[0]
    generator = torch.Generator().manual_seed(3)
    _, own = (torch.randn(4, 8, 8, generator=generator) for _ in range(2))  # the encoder's is first
    other = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(4))
    moved = full.latent - plain.latent
    torch.testing.assert_close(moved, level.noise * (other - own), rtol=1e-4, atol=1e-5)
    between = varied(own, other, 0.5)
    moved = half.latent - plain.latent
    torch.testing.assert_close(moved, level.noise * (between - own), rtol=1e-4, atol=1e-5)
