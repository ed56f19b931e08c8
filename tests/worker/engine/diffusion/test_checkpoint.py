"""A picture saved half-way goes on to the same last bit; what is not its checkpoint is ignored."""

import pickle
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from latentry.contracts import InputFile, OutputFormat
from tests.worker.engine import tiny
from tests.worker.engine.trajectories import begun
from worker.engine.diffusion import checkpoint
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.profile import Profile
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Done, Engine, Joined, Order, Step
from worker.engine.samplers import SAMPLERS


def advance(backend: Diffusion, trajectory: Trajectory, calls: int) -> Trajectory:
    for _ in range(calls):
        backend.advance([trajectory], trajectory.key.bucket or trajectory.rows)
    return trajectory


def finish(backend: Diffusion, trajectory: Trajectory) -> bytes:
    return bits(advance(backend, trajectory, trajectory.calls_left).latent)


def bits(latent: torch.Tensor) -> bytes:
    return latent.numpy().tobytes()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("determinism", ["strict", "fast"])
def test_every_sampler_goes_on_from_every_call_to_the_same_last_bit(
    backend: Diffusion, sampler: str, determinism: str
) -> None:
    order = tiny.order(sampler=sampler, num_inference_steps=3, determinism=determinism)
    calls = begun(backend, order).calls_left
    whole = finish(backend, begun(backend, order))
    for k in range(calls + 1):
        saved = backend.save(advance(backend, begun(backend, order), k))
        resumed = begun(backend, replace(order, checkpoint=saved))
        assert resumed.calls == k
        assert finish(backend, resumed) == whole


def test_noise_drawn_for_a_call_that_failed_is_not_drawn_anew(backend: Diffusion) -> None:
    order = tiny.order(sampler="euler_a", determinism="strict")
    whole = finish(backend, begun(backend, order))
    failed = advance(backend, begun(backend, order), 1)
    assert failed.noise() is not None  # the call got that far, then ran out of memory
    saved = backend.save(failed)
    assert finish(backend, begun(backend, replace(order, checkpoint=saved))) == whole


def test_memory_that_a_sampler_does_not_use_is_not_saved(backend: Diffusion) -> None:
    def size(sampler: str) -> int:
        return len(backend.save(advance(backend, begun(backend, tiny.order(sampler=sampler)), 2)))

    row = 4 * 8 * 8 * 4
    assert size("ddim") + 2 * row < size("unipc")


# Whatever is wrong with a checkpoint: it is ignored, and the picture is the one it would be.


def is_ignored(backend: Diffusion, order: Order, saved: bytes) -> bool:
    fresh, tried = begun(backend, order), begun(backend, replace(order, checkpoint=saved))
    if tried.calls:
        return False
    assert torch.equal(tried.sampler.latents, fresh.sampler.latents)
    states = [one.sampler.source.state for one in (tried, fresh)]
    assert torch.equal(*states)
    return True


@pytest.fixture
def order() -> Order:
    return tiny.order(sampler="dpmpp_2m_sde", num_inference_steps=3, seed=3)


@pytest.fixture
def saved(backend: Diffusion, order: Order) -> bytes:
    return backend.save(advance(backend, begun(backend, order), 2))


def test_a_damaged_checkpoint_is_ignored(backend: Diffusion, order: Order, saved: bytes) -> None:
    chance = random.Random(0)
    for _ in range(100):
        place = chance.randrange(len(saved))
        flipped = bytes([saved[place] ^ 1 << chance.randrange(8)])
        assert is_ignored(backend, order, saved[:place] + flipped + saved[place + 1 :])
    for length in (0, 7, 8, 100, len(saved) - 1):
        assert is_ignored(backend, order, saved[:length])
    assert is_ignored(backend, order, saved + b"\0")


@pytest.mark.parametrize("junk", [b"", b"junk" * 99, pickle.dumps({"calls": 1}), b"\xff" * 64])
def test_what_is_no_checkpoint_at_all_is_ignored(
    backend: Diffusion, order: Order, junk: bytes
) -> None:
    assert is_ignored(backend, order, junk)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"prompt": "a blue circle"},
        {"num_inference_steps": 4},
        {"guidance_scale": 4.0},
        {"sampler": "dpmpp_2m"},
        {"spacing": "karras"},
        {"width": 96},
        {"model": "v_zero_snr"},
        {"determinism": "strict"},
    ],
    ids=str,
)
def test_the_checkpoint_of_another_picture_is_ignored(
    backend: Diffusion, saved: bytes, changes: dict[str, Any]
) -> None:
    fields = {"sampler": "dpmpp_2m_sde", "num_inference_steps": 3, "seed": 3} | changes
    assert is_ignored(backend, tiny.order(**fields), saved)


def test_the_checkpoint_of_an_order_with_another_input_is_ignored(
    backend: Diffusion, order: Order
) -> None:
    of_a, of_b = (_from_picture(order, level) for level in (10, 20))
    saved = backend.save(advance(backend, begun(backend, of_a), 1))
    assert not is_ignored(backend, of_a, saved)
    assert is_ignored(backend, of_b, saved)
    assert is_ignored(backend, order, saved)


def _from_picture(order: Order, level: int) -> Order:
    file = InputFile(file="file_1", pixel_sha256=str(level), width=64, height=64)
    request = order.request.model_copy(update={"image": file, "strength": 0.9})
    pixels = np.full((64, 64, 3), level, np.uint8)
    return replace(order, request=request, canvas=Canvas.of(request, {"image": pixels}))


def test_the_same_model_id_with_other_weights_is_another_picture(
    backend: Diffusion, order: Order, saved: bytes
) -> None:
    model = backend.models["epsilon"]
    backend.adopt("epsilon", replace(model, fingerprint="another"))
    assert is_ignored(backend, order, saved)


def test_labels_and_the_file_format_do_not_make_it_another_picture(
    backend: Diffusion, order: Order, saved: bytes
) -> None:
    others = {"metadata": {"a": "b"}, "n": 4, "output_format": OutputFormat.WEBP, "seed": 1}
    same = Order("another job", 2, order.request.model_copy(update=others), order.seed)
    assert not is_ignored(backend, same, saved)


def test_strict_goes_on_only_under_the_profile_it_began_with(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict, fast = tiny.order(determinism="strict"), tiny.order()
    saved = [backend.save(advance(backend, begun(backend, one), 2)) for one in (strict, fast)]
    monkeypatch.setattr("worker.engine.diffusion.profile.processor", lambda: "another processor")
    assert is_ignored(backend, strict, saved[0])
    assert not is_ignored(backend, fast, saved[1])


def test_a_picture_saved_when_only_the_vae_was_left_needs_no_step(backend: Diffusion) -> None:
    order = tiny.order(determinism="strict")
    last = advance(backend, begun(backend, order), 4)
    [whole] = backend.decode([last]).take()
    engine = Engine(backend)
    engine.submit(replace(order, checkpoint=backend.save(last)))
    events = []
    while not engine.idle:
        events += engine.step()
    joined, done = events
    assert isinstance(joined, Joined)
    assert isinstance(done, Done)
    assert joined.step == 4
    assert np.array_equal(done.pixels, whole)


def test_the_engine_saves_what_was_begun_and_is_not_drawn(backend: Diffusion) -> None:
    engine = Engine(backend)
    for index in range(2):
        engine.submit(tiny.order("job", index, n=2, num_inference_steps=3 + index))
    engine.submit(tiny.order("other"))
    engine.step()
    assert [(one.index, one.step) for one in engine.save("job")] == [(0, 1), (1, 1)]
    assert engine.save("nobody") == []


def test_a_resumed_image_joins_with_its_step(backend: Diffusion) -> None:
    order = tiny.order(determinism="strict")
    saved = backend.save(advance(backend, begun(backend, order), 3))
    engine = Engine(backend)
    engine.submit(replace(order, checkpoint=saved))
    joined, step, *_ = engine.step()
    assert isinstance(joined, Joined)
    assert isinstance(step, Step)
    assert (joined.step, step.step) == (3, 4)


def test_a_strict_picture_has_the_id_of_its_profile(backend: Diffusion) -> None:
    engine = Engine(backend)
    for determinism in ("strict", "fast"):
        engine.submit(tiny.order(determinism, determinism=determinism))
    done = {}
    while not engine.idle:
        done |= {e.job: e.profile for e in engine.step() if isinstance(e, Done)}
    model = backend.models["epsilon"]
    expected = Profile.of(model.fingerprint, backend.at, rows=model.strict_rows).id
    assert done == {"strict": expected, "fast": None}


def test_saving_changes_nothing(backend: Diffusion, order: Order) -> None:
    whole = finish(backend, begun(backend, order))
    trajectory = begun(backend, order)
    while trajectory.calls_left:
        checkpoint.save(trajectory, "")
        advance(backend, trajectory, 1)
    assert bits(trajectory.latent) == whole
