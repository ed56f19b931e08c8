"""Networks as spandrel reads them: tiles beside the whole picture, what is refused, what fails."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from structlog.testing import capture_logs

from latentry.contracts import InputFile, ResolvedUpscale
from latentry.errors import ConfigurationError, NonFiniteOutput
from latentry.rules.upscaling import OVERLAP_PX, tiles
from tests.worker.engine.upscaling import esrgan
from worker.engine.background.backend import Background
from worker.engine.device import Device
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import BackgroundOrder, Done, Engine, Failed
from worker.engine.upscaling import catalogue
from worker.engine.upscaling.catalogue import TILE_PX, load, open_upscalers, upscaler_files
from worker.engine.upscaling.lanczos import Lanczos
from worker.engine.upscaling.reading import read_network
from worker.stepping import SLOW_STEPS

CPU = Device.choose("cpu", "float32")


def network(folder, weights, id="tiny"):
    return load(id, esrgan.write(folder / f"{id}.safetensors", weights), CPU)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with noise on them, as photographs have."""
    y, x = np.mgrid[:height, :width] / 40
    smooth = np.stack([np.sin(x), np.sin(y), np.cos(x + y)], -1) * 90 + 128
    noise = np.random.default_rng(seed).normal(0, 20, smooth.shape)
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def upscaled(upscaler, pixels: np.ndarray, scale: float | None = None):
    height, width = pixels.shape[:2]
    image = InputFile(file="file_1", pixel_sha256="0", width=width, height=height)
    request = ResolvedUpscale(
        image=image, scale=scale or upscaler.card.scale, upscaler=upscaler.card.id
    )
    engine = Engine(Background([upscaler]))
    engine.submit(BackgroundOrder("job", 0, request, 0, canvas=Canvas(pixels)))
    events = []
    while not engine.idle:
        events += engine.step()
    return events


def pixels_of(events) -> np.ndarray:
    [done] = [event for event in events if isinstance(event, Done)]
    return done.pixels


def whole(upscaler, pixels: np.ndarray) -> np.ndarray:
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        [made] = upscaler.descriptor(image)
    return (made * 255).round().byte().permute(1, 2, 0).numpy()


def test_architecture_and_scale_are_read_from_the_file(tmp_path) -> None:
    card = network(tmp_path, esrgan.random_weights()).card
    assert (card.id, card.architecture, card.scale, card.tile) == ("tiny", "ESRGAN", 4, TILE_PX)
    assert card.queue == "upscaler/tiny"


def test_tiles_equal_the_whole_picture(tmp_path) -> None:
    """Within a level of 256 everywhere: seams are mixed where both tiles are right."""
    upscaler = network(tmp_path, esrgan.random_weights())
    pixels = picture(170, 300)
    assert len(tiles(300, 170, TILE_PX)) == 6
    made, expected = pixels_of(upscaled(upscaler, pixels)), whole(upscaler, pixels)
    assert made.shape == (680, 1200, 3)
    assert expected.std() > 20, "there is something to compare"
    apart = np.abs(made.astype(int) - expected)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.02


def test_a_tile_s_edge_is_wrong_and_is_not_used(tmp_path) -> None:
    """What the overlap is for: at its very edge a tile differs, a quarter inside it does not."""
    upscaler = network(tmp_path, esrgan.random_weights())
    pixels = picture(64, 128)
    expected = whole(upscaler, pixels)[:, : 64 * 4].astype(int)
    part = whole(upscaler, pixels[:, :64]).astype(int)
    apart = np.abs(part - expected).max((0, 2))
    assert apart[-4:].max() > 3
    assert apart[: -OVERLAP_PX // 4 * 4].max() <= 1


def test_a_network_that_repeats_pixels_repeats_them_across_tiles(tmp_path) -> None:
    upscaler = network(tmp_path, esrgan.repeating_weights())
    pixels = picture(165, 161)
    expected = pixels.repeat(4, 0).repeat(4, 1)
    assert np.array_equal(pixels_of(upscaled(upscaler, pixels)), expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (160, 160)])
def test_any_size_comes_out_in_its_own(tmp_path, size) -> None:
    upscaler = network(tmp_path, esrgan.repeating_weights())
    pixels = picture(*size)
    expected = pixels.repeat(4, 0).repeat(4, 1)
    assert np.array_equal(pixels_of(upscaled(upscaler, pixels)), expected)


def test_a_smaller_scale_is_the_network_s_picture_scaled_down(tmp_path) -> None:
    upscaler = network(tmp_path, esrgan.repeating_weights())
    pixels = np.full((50, 70, 3), (250, 120, 10), np.uint8)  # of one colour, as a page may be
    made = pixels_of(upscaled(upscaler, pixels, 1.5))
    assert made.shape == (75, 105, 3)
    assert (made == (250, 120, 10)).all()


def test_equal_requests_make_equal_bits_beside_others_and_alone(tmp_path) -> None:
    upscaler = network(tmp_path, esrgan.random_weights())
    pixels, profiles = picture(100, 170), set()
    alone = upscaled(upscaler, pixels)
    request = ResolvedUpscale(
        image=InputFile(file="f", pixel_sha256="", width=170, height=100), scale=4, upscaler="tiny"
    )
    engine = Engine(Background([upscaler]))
    for job, own in (("a", pixels), ("b", picture(100, 170, seed=1)), ("c", pixels)):
        engine.submit(BackgroundOrder(job, 0, request, 0, canvas=Canvas(own)))
    made = {}
    while not engine.idle:
        for event in engine.step():
            if isinstance(event, Done):
                made[event.job] = event.pixels
                profiles.add(event.profile)
    assert np.array_equal(made["a"], pixels_of(alone))
    assert np.array_equal(made["c"], made["a"])
    assert not np.array_equal(made["b"], made["a"])
    assert profiles == {upscaler.profile}


def test_the_profile_is_of_the_weights(tmp_path) -> None:
    first, second = (
        network(tmp_path, esrgan.random_weights(seed=seed), id=f"n{seed}") for seed in (0, 1)
    )
    again = load("other-name", tmp_path / "n0.safetensors", CPU)
    assert first.profile == again.profile != second.profile


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("scale", [4.0, 2.0])
def test_values_that_are_no_numbers_fail_the_picture(tmp_path, wrong: float, scale) -> None:
    upscaler = network(tmp_path, esrgan.repeating_weights())
    with torch.no_grad():
        next(reversed(list(upscaler.descriptor.model.parameters()))).fill_(wrong)
    events = upscaled(upscaler, picture(20, 170), scale)
    [failed] = [event for event in events if isinstance(event, Failed)]
    assert isinstance(failed.error, NonFiniteOutput)


def test_a_tile_takes_about_as_long_as_its_self_test_says(tmp_path) -> None:
    """Or at most ten times as long, which is what the watchdog allows."""
    upscaler = network(tmp_path, esrgan.random_weights(features=32))
    backend = Background([Lanczos(), upscaler])
    [order] = [one for one in backend.examples() if one.request.upscaler == "tiny"]
    backend.advance([backend.begin(order, backend.plan(order))[0]], 1)
    [call] = backend.calls()
    assert 0 < call.seconds < SLOW_STEPS * backend.longest_test_s


def test_what_is_no_upscaler_is_refused_by_name(tmp_path) -> None:
    strange = tmp_path / "strange.safetensors"
    save_file({"a.weight": torch.zeros(3, 3)}, strange)
    with pytest.raises(ConfigurationError, match="no super-resolution network"):
        load("strange", strange, CPU)
    same_size = {
        name: weight
        for name, weight in esrgan.random_weights(features=8, blocks=1).items()
        if not name.startswith("conv_up")
    }
    with pytest.raises(ConfigurationError, match=r"restoration \(ESRGAN\)"):
        network(tmp_path, same_size, id="same")
    grey = esrgan.random_weights(features=8, blocks=1)
    grey["conv_first.weight"] = grey["conv_first.weight"][:, :1].clone()
    grey["conv_last.weight"] = grey["conv_last.weight"][:1].clone()
    grey["conv_last.bias"] = grey["conv_last.bias"][:1].clone()
    with pytest.raises(ConfigurationError, match="other than RGB"):
        network(tmp_path, grey, id="grey")


def test_no_pickle_and_no_damaged_file_is_read(tmp_path) -> None:
    pickle = tmp_path / "evil.pth"
    pickle.write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(ConfigurationError, match="pickles are not loaded"):
        load("evil", pickle, CPU)
    cut = tmp_path / "cut.safetensors"
    whole = esrgan.write(tmp_path / "whole.safetensors", esrgan.repeating_weights()).read_bytes()
    cut.write_bytes(whole[:-10])
    with pytest.raises(ConfigurationError, match="cut short"):
        load("cut", cut, CPU)


def test_a_network_that_makes_no_numbers_at_all_is_not_served(tmp_path) -> None:
    weights = esrgan.repeating_weights()
    weights["conv_last.bias"][:] = float("nan")
    with pytest.raises(ConfigurationError, match="no numbers"):
        network(tmp_path, weights)


def test_ids_come_from_file_names_and_unusable_files_are_left_out(tmp_path) -> None:
    folder, single = tmp_path / "folder", tmp_path / "single.safetensors"
    folder.mkdir()
    esrgan.write(folder / "4x-Tiny.safetensors", esrgan.repeating_weights())
    esrgan.write(single, esrgan.repeating_weights())
    (folder / "broken.safetensors").write_bytes(b"no")
    (folder / "old.pth").write_bytes(b"\x80")
    (folder / "no id!.safetensors").write_bytes(b"")
    (folder / "readme.txt").write_text("x")
    sources = [("", folder), ("named", single), ("", single), ("gone", tmp_path / "gone")]
    assert list(upscaler_files(sources)) == ["4x-Tiny", "broken", "named", "single", "gone"]
    opened = [one.card.id for one in open_upscalers(sources, CPU)]
    assert opened == ["4x-Tiny", "named", "single"]


def test_those_that_do_not_fit_into_the_memory_for_models_are_left_out(tmp_path) -> None:
    size = network(tmp_path, esrgan.random_weights(), "a").size_bytes
    assert size == sum(one.nbytes for one in esrgan.random_weights().values())
    network(tmp_path, esrgan.random_weights(blocks=3), "b")
    network(tmp_path, esrgan.random_weights(seed=1), "c")

    def opened(budget_bytes: int) -> list[str]:
        return [one.card.id for one in open_upscalers([("", tmp_path)], CPU, budget_bytes)]

    assert opened(0) == ["a", "b", "c"]
    with capture_logs() as logs:
        assert opened(2 * size) == ["a", "c"]
    [why] = [one["why"] for one in logs if one["event"] == "upscaler.unusable"]
    assert f"LATENTRY_MODEL_MEMORY_BYTES allows {2 * size}" in why


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "CUDA out of memory"),
        (MemoryError(), "This machine does not have enough memory to load a."),
    ],
)
def test_one_for_which_there_is_no_memory_is_left_out(tmp_path, monkeypatch, error, said) -> None:
    """Else the worker would end, start again and end."""
    network(tmp_path, esrgan.random_weights(), "a")
    network(tmp_path, esrgan.random_weights(blocks=3), "b")

    def read(name, weights):
        if "a.safetensors" in name:
            raise error
        return read_network(name, weights)

    monkeypatch.setattr(catalogue, "read_network", read)
    with capture_logs() as logs:
        assert [one.card.id for one in open_upscalers([("", tmp_path)], CPU)] == ["b"]
    assert [one["why"] for one in logs if one["event"] == "upscaler.unusable"] == [said]
