"""Ways to need less memory: what they save, and that pictures do not suffer unseen."""

import gc
import shutil
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs

from latentry.errors import ConfigurationError
from latentry.low_memory import LowMemory
from latentry.settings import Settings
from tests.worker.engine import tiny
from worker.engine.device import Device
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.profile import Profile
from worker.engine.loop import Done, Engine, Failed
from worker.engine.models.loading import low_memory
from worker.engine.models.sources.folder import blueprint_from_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("low") / "model", tiny.EPSILON)


def serving(folder: Path, *ways: LowMemory) -> Diffusion:
    backend = Diffusion(device="cpu", dtype="float32", threads=1, low_memory=frozenset(ways))
    backend.load("m", folder)
    return backend


def picture(backend: Diffusion, prompt: str = "a cat", side: int = 64) -> np.ndarray:
    engine = Engine(backend)
    engine.submit(tiny.order(model="m", prompt=prompt, width=side, height=side))
    [done] = [event for event in tiny.drain(engine) if isinstance(event, Done)]
    return done.pixels


def test_text_encoders_that_leave_draw_the_same_pictures(folder: Path) -> None:
    whole, visited = serving(folder), serving(folder, LowMemory.TEXT_ENCODERS)
    for prompt in ("a cat", "a dog"):
        assert np.array_equal(picture(visited, prompt), picture(whole, prompt))


def test_text_encoders_that_leave_are_in_memory_only_while_they_encode(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[object]] = []
    call = low_memory.VisitingEncoder.__call__

    def spy(visitor: low_memory.VisitingEncoder, *arguments: object, **options: object) -> object:
        output = call(visitor, *arguments, **options)
        seen.append(weakref.ref(next(visitor._module.parameters())))
        return output

    monkeypatch.setattr(low_memory.VisitingEncoder, "__call__", spy)
    picture(serving(folder, LowMemory.TEXT_ENCODERS))
    gc.collect()
    assert seen
    assert all(one() is None for one in seen)


def test_a_prompt_that_fails_leaves_no_text_encoder_in_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = serving(folder, LowMemory.TEXT_ENCODERS)
    conditioner = backend.models["m"].conditioner
    [clip] = conditioner.encoders

    def fail(*_: object, **__: object) -> None:
        clip.model._module = object()  # it has arrived
        raise torch.OutOfMemoryError

    monkeypatch.setattr(low_memory.VisitingEncoder, "__call__", fail)
    with pytest.raises(torch.OutOfMemoryError):
        conditioner.condition(tiny.order(model="m", prompt="a new prompt").request)
    assert clip.model._module is None


def test_the_budget_does_not_count_what_leaves(folder: Path) -> None:
    whole = blueprint_from_folder("m", folder, prefer_fp16=False)
    size = whole.size_bytes(torch.float32, without=["text_encoder"])
    assert size < whole.size_bytes(torch.float32)
    for ways, fits in (((), False), ((LowMemory.TEXT_ENCODERS,), True)):
        backend = Diffusion(
            device="cpu",
            dtype="float32",
            model_memory_bytes=size,
            low_memory=frozenset(ways),
        )
        if fits:
            backend.open({"m": folder})
        else:
            with pytest.raises(ConfigurationError, match="LATENTRY_MODEL_MEMORY_BYTES"):
                backend.open({"m": folder})


def test_a_text_encoder_whose_file_has_changed_draws_nothing(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    backend = serving(copy, LowMemory.TEXT_ENCODERS)
    file = copy / "text_encoder" / "model.safetensors"
    bits = bytearray(file.read_bytes())
    bits[-1] ^= 1
    file.write_bytes(bits)
    engine = Engine(backend)
    engine.submit(tiny.order(model="m", prompt="another prompt"))
    with capture_logs() as logs:
        [failed] = tiny.drain(engine)
    assert isinstance(failed, Failed)
    assert failed.error.code == "model_not_loaded"
    assert "copy" not in failed.error.message, "no path for the job's owner"
    [why] = [one["why"] for one in logs if one["event"] == "text_encoder.not_read"]
    assert "have changed" in why


def test_tiles_change_large_pictures_a_little_and_their_profile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(low_memory, "_TILE", 8)
    whole, tiled = serving(folder), serving(folder, LowMemory.VAE_TILES)
    tile = tiled.models["m"].vae.tile_sample_min_size
    assert np.array_equal(picture(tiled, side=tile), picture(whole, side=tile))
    large, expected = (picture(one, side=2 * tile).astype(int) for one in (tiled, whole))
    assert not np.array_equal(large, expected)
    assert np.abs(large - expected).mean() < 16
    profiles = {_strict_profile(one) for one in (whole, tiled)}
    assert len(profiles) == 2


def test_an_offloaded_unet_whose_projections_are_not_fused_has_another_profile() -> None:
    whole = Device.choose("cpu", "float32")
    offloaded = replace(whole, low_memory=frozenset({LowMemory.OFFLOAD}))
    sliced = replace(whole, low_memory=frozenset({LowMemory.VAE_SLICES}))
    first, second, third = (Profile.of("m", at, rows=8) for at in (whole, offloaded, sliced))
    assert (first.execution, second.execution) == ("eager", "eager, unfused")
    assert first.id != second.id
    assert first.id == third.id


def test_what_an_offloaded_unet_costs_is_not_what_it_costs_in_memory() -> None:
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    before = backend.identity
    backend.at = replace(backend.at, low_memory=frozenset({LowMemory.OFFLOAD}))
    assert backend.identity != before


def _strict_profile(backend: Diffusion) -> str | None:
    order = tiny.order(model="m", determinism="strict")
    trajectory, _ = backend.begin(order, backend.plan(order))
    return backend.profile(trajectory)


def test_slices_decode_each_picture_as_if_alone(folder: Path) -> None:
    model = serving(folder, LowMemory.VAE_SLICES).models["m"]
    latents = torch.randn(3, *model.latent_shape(64, 64))
    with torch.inference_mode():
        together = model.vae.decode(latents, return_dict=False)[0]
        alone = [model.vae.decode(one[None], return_dict=False)[0] for one in latents]
    assert torch.equal(together, torch.cat(alone))


def test_an_offloaded_unet_computes_the_same(folder: Path) -> None:
    """Between a CPU and itself: there may be no GPU."""
    unet = serving(folder).models["m"].unet
    inputs = (torch.randn(2, 4, 8, 8), torch.tensor([500, 20]), torch.randn(2, 77, 32))
    with torch.inference_mode():
        expected = unet(*inputs, return_dict=False)[0]
        low_memory._offload(unet, torch.device("cpu"))
        assert torch.equal(unet(*inputs, return_dict=False)[0], expected)


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (lambda: Device.choose("cpu", "float32", frozenset({LowMemory.OFFLOAD})), "is for CUDA"),
        (lambda: Settings.from_env({"LATENTRY_LOW_MEMORY": "vae_tile"}), "'vae_tile' is not one"),
        (lambda: Device.choose("mps", "auto"), "The device mps is not available"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_sentence(
    refused: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        refused()


def test_settings_name_several_ways() -> None:
    settings = Settings.from_env({"LATENTRY_LOW_MEMORY": "vae_tiles, text_encoders"})
    wanted = {LowMemory.VAE_TILES, LowMemory.TEXT_ENCODERS}
    assert settings.ways_to_save_memory == wanted
