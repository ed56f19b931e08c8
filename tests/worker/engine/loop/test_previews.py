"""Previews of unfinished images: at the requested steps, and without an effect on pictures."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from latentry.contracts import Sampler
from latentry.errors import ConfigurationError, UnsupportedField
from tests.worker.engine import tiny
from tests.worker.engine.conftest import sharing
from worker.engine.diffusion import predicted_x0
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.predicted_x0 import x0_coefficients
from worker.engine.loop import Done, Engine, Event, Failed, Order, Preview, Step
from worker.engine.loop.previews import MOST
from worker.engine.samplers import SAMPLERS
from worker.engine.simulated import Charge, Simulated


def give_taesd(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    fields = {
        "encoder_block_out_channels": (4,) * 4,
        "decoder_block_out_channels": (8,) * 4,
        "num_encoder_blocks": (0,) * 4,
        "num_decoder_blocks": (1, 0, 0, 0),
    }
    AutoencoderTiny(**(fields | changes)).save_pretrained(folder / "taesd")
    return folder


@pytest.fixture(scope="module")
def shown(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Diffusion:
    """Both tiny models with a tiny autoencoder each."""
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    root = tmp_path_factory.mktemp("shown")
    for name, folder in folders.items():
        backend.load(name, give_taesd(Path(shutil.copytree(folder, root / name))))
    return backend


@pytest.fixture
def engine(shown: Diffusion) -> Engine:
    return Engine(sharing(shown))


def previews(events: list[Event], job: str = "job") -> list[Preview]:
    return [event for event in events if isinstance(event, Preview) and event.job == job]


def picture(events: list[Event], job: str = "job") -> np.ndarray:
    (done,) = [event for event in events if isinstance(event, Done) and event.job == job]
    return done.pixels


def test_one_about_to_be_enlarged_is_shown_as_it_is_beside_larger_ones(shown: Diffusion) -> None:
    backend, fields = sharing(shown), {"num_inference_steps": 3, "preview_interval": 1}
    second = {"width": 128, "height": 128, "steps": 3, "strength": 1.0}
    small, large = (
        backend.begin(order, backend.plan(order))[0]
        for order in (
            tiny.order("small", hires=second, **fields),
            tiny.order("large", width=128, height=128, **fields),
        )
    )
    for one in (small, large):
        for _ in range(3):
            backend.advance([one], 2)
    assert small.key == large.key
    alone = [backend.preview([one]).take()[0] for one in (small, large)]
    together = backend.preview([small, large]).take()
    assert [picture.shape for picture in together] == [(64, 64, 3), (128, 128, 3)]
    assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))
    backend.advance([small], 2)
    assert backend.preview([small]).take()[0].shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("interval", "steps"), [(0, []), (1, [1, 2, 3, 4, 5, 6]), (3, [3, 6]), (7, []), (99, [])]
)
@pytest.mark.parametrize("sampler", [Sampler.DDIM, Sampler.HEUN, Sampler.PNDM])
def test_previews_come_at_the_requested_steps(
    engine: Engine, interval: int, steps: list[int], sampler: Sampler
) -> None:
    fields = {"num_inference_steps": 7, "preview_interval": interval, "sampler": sampler}
    engine.submit(tiny.order("job", **fields))
    events = tiny.drain(engine)
    assert [preview.step for preview in previews(events)] == steps
    for preview in previews(events):
        place = events.index(preview)
        before = [event.step for event in events[:place] if isinstance(event, Step)]
        assert before[-1] == preview.step


def test_a_preview_is_small_and_keeps_the_shape_of_its_picture(
    engine: Engine,
) -> None:
    engine.submit(tiny.order("small", width=96, height=64, preview_interval=1, preview_size=96))
    engine.submit(tiny.order("large", width=128, height=64, preview_interval=1, preview_size=96))
    engine.submit(tiny.order("tiny", width=128, height=64, preview_interval=1, preview_size=32))
    events = tiny.drain(engine)
    assert {preview.pixels.shape for preview in previews(events, "small")} == {(64, 96, 3)}
    assert {preview.pixels.shape for preview in previews(events, "large")} == {(48, 96, 3)}
    assert {preview.pixels.shape for preview in previews(events, "tiny")} == {(16, 32, 3)}
    assert all(preview.pixels.dtype == np.uint8 for preview in previews(events, "small"))


def test_only_jobs_that_requested_previews_have_them(engine: Engine) -> None:
    engine.submit(tiny.order("job", preview_interval=2))
    engine.submit(tiny.order("other"))
    events = tiny.drain(engine)
    assert [preview.step for preview in previews(events)] == [2]
    assert previews(events, "other") == []


@pytest.mark.parametrize("mode", ["strict", "fast"])
@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.UNIPC])
def test_no_picture_is_changed_by_a_preview(engine: Engine, mode: str, sampler: Sampler) -> None:
    fields = {"determinism": mode, "sampler": sampler, "num_inference_steps": 6}
    drawn = []
    for interval in (0, 1):
        engine.submit(tiny.order("job", preview_interval=interval, seed=1, **fields))
        engine.submit(tiny.order("other", preview_interval=2 * interval, seed=2, **fields))
        events = tiny.drain(engine)
        drawn.append(np.stack([picture(events), picture(events, "other")]).astype(int))
    # Fast rows may meet a probe, whose other number of rows moves their last bits.
    assert np.abs(drawn[0] - drawn[1]).max() <= (1 if mode == "fast" else 0)


def test_a_picture_with_previews_resumes_elsewhere_without_them(shown: Diffusion) -> None:
    fields = {"determinism": "strict", "num_inference_steps": 6, "seed": 3}
    whole, first, second = (Engine(sharing(shown)) for _ in range(3))
    unseen = tiny.order("job", **fields)
    whole.submit(unseen)
    first.submit(tiny.order("job", preview_interval=1, **fields))
    for _ in range(3):
        first.step()
    (saved,) = first.save("job")
    second.submit(Order("job", 0, unseen.request, unseen.seed, saved.checkpoint))
    events = tiny.drain(second)
    assert [event.step for event in events if isinstance(event, Step)] == [4, 5, 6]
    assert np.array_equal(picture(events), picture(tiny.drain(whole)))


def test_a_model_is_the_same_one_with_and_without_previews(
    loaded: Diffusion, shown: Diffusion
) -> None:
    for name, model in loaded.models.items():
        assert model.fingerprint == shown.models[name].fingerprint


def test_previews_of_many_images_come_a_few_at_a_time_and_in_turn(engine: Engine) -> None:
    images = 2 * MOST + 1
    for number in range(images):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=20, preview_interval=1))
    previews = [[event for event in engine.step() if isinstance(event, Preview)] for _ in range(40)]
    assert max(len(some) for some in previews) == MOST
    counts = [
        sum(one.job == f"job-{k}" for some in previews for one in some) for k in range(images)
    ]
    assert min(counts) >= 4


def test_an_image_that_has_ended_has_no_more_previews(engine: Engine) -> None:
    engine.submit(tiny.order("job", num_inference_steps=9, preview_interval=1))
    engine.step()
    engine.drop("job")
    assert previews(tiny.drain(engine)) == []


@dataclass(slots=True)
class Late:
    """Pictures that stay on the device until they are let go, as CUDA's do."""

    answers: list[Any]
    ready: bool = False

    def take(self) -> list[Any]:
        assert self.ready
        return self.answers


def test_previews_are_not_waited_for_and_those_of_ended_images_are_dropped() -> None:
    on_the_way: list[Late] = []

    class Slow(Simulated):
        def preview(self, members: Any) -> Any:
            on_the_way.append(Late(Simulated.preview(self, members).answers))
            return on_the_way[-1]

    engine = Engine(Slow({"epsilon": Charge(0.01, 0.001, 64)}))
    engine.submit(tiny.order("short", num_inference_steps=3, preview_interval=2))
    engine.submit(tiny.order("long", num_inference_steps=9, preview_interval=2))
    events = [event for _ in range(5) for event in engine.step()]
    assert picture(events, "short").size
    assert not any(isinstance(event, Preview) for event in events)
    for late in on_the_way:
        late.ready = True
    previews = [(event.job, event.step) for event in engine.step() if isinstance(event, Preview)]
    assert previews == [("long", 2), ("long", 4)]


@pytest.mark.parametrize("sampler", [Sampler.DDIM, Sampler.HEUN, Sampler.PNDM])
def test_x0_is_predicted_only_where_a_preview_is_due(shown: Diffusion, sampler: Sampler) -> None:
    order = tiny.order("job", num_inference_steps=8, preview_interval=3, sampler=sampler)
    trajectory, _ = shown.begin(order, shown.plan(order))
    predicted = []
    for calls in range(trajectory.calls_left):
        trajectory.calls = calls
        if trajectory.prediction_is_due:
            predicted.append(trajectory.current.steps_done[calls + 1])
    assert predicted == [3, 6]


def test_a_tiny_autoencoder_that_fails_costs_its_previews_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no kernel for this")

    monkeypatch.setattr(engine.backend.models["epsilon"].taesd, "decode", broken)
    engine.submit(tiny.order("job", preview_interval=1))
    events = tiny.drain(engine)
    assert previews(events) == []
    assert picture(events).shape == (64, 64, 3)


@pytest.mark.parametrize("model", list(tiny.SCHEDULERS))
@pytest.mark.parametrize("sampler", list(Sampler))
def test_the_predicted_x0_is_the_picture_if_the_model_predicts_it_exactly(
    shown: Diffusion, sampler: Sampler, model: str
) -> None:
    """A model that predicts perfectly: every guess is x₀, whatever the sampler and the step."""
    schedule = shown.models[model].schedule
    table = SAMPLERS[sampler](schedule, 10)
    x0, eps = 0.7, -1.3
    for t, _ in table.inputs:
        a, b = x0_coefficients(schedule, t)
        at = np.interp(t, np.arange(schedule.length), schedule.alphas_cumprod)
        signal, noise = np.sqrt(at), np.sqrt(1 - at)
        said = eps if schedule.prediction == "epsilon" else signal * eps - noise * x0
        assert a * (signal * x0 + noise * eps) + b * said == pytest.approx(x0, abs=1e-6)


def test_the_last_preview_is_nearly_the_picture(engine: Engine) -> None:
    guesses: list[torch.Tensor] = []
    latents: list[torch.Tensor] = []
    preview, decode = engine.backend.preview, engine.backend.decode

    def shown(members: list[Any]) -> Any:
        guesses.append(members[0].predicted_x0)
        return preview(members)

    def decoded(members: list[Any]) -> Any:
        latents.append(members[0].latent)
        return decode(members)

    engine.backend.preview, engine.backend.decode = shown, decoded
    engine.submit(tiny.order("job", num_inference_steps=50, preview_interval=1, sampler="euler"))
    tiny.drain(engine)
    first, last = ((guess - latents[0]).abs().mean() for guess in (guesses[0], guesses[-1]))
    assert last < first / 5


def test_a_model_without_a_tiny_autoencoder_offers_no_previews(loaded: Diffusion) -> None:
    engine = Engine(sharing(loaded))
    assert not loaded.models["epsilon"].card.limits.previews
    engine.submit(tiny.order("job", preview_interval=1))
    (failed,) = tiny.drain(engine)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UnsupportedField)
    assert failed.error.fields.keys() == {"/preview_interval"}


def test_the_card_of_a_model_with_a_tiny_autoencoder_has_previews(shown: Diffusion) -> None:
    assert shown.models["epsilon"].card.limits.previews


@pytest.mark.parametrize(
    ("changes", "why"), [({"latent_channels": 16}, "16 channels"), ({"out_channels": 4}, "4 colo")]
)
def test_a_tiny_autoencoder_of_another_family_is_refused(
    folders: dict[str, Path], tmp_path: Path, changes: dict[str, int], why: str
) -> None:
    folder = Path(shutil.copytree(folders["epsilon"], tmp_path / "model"))
    give_taesd(folder, **changes)
    with pytest.raises(ConfigurationError, match=why):
        Diffusion(device="cpu", dtype="float32").load("model", folder)


def test_no_other_class_is_made_of_a_taesd_folder(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = give_taesd(Path(shutil.copytree(folders["epsilon"], tmp_path / "model")))
    config = folder / "taesd" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"_class_name": "AsymmetricVae"}))
    with pytest.raises(ConfigurationError, match="AsymmetricVae as its taesd"):
        Diffusion(device="cpu", dtype="float32").load("model", folder)


def drawn(engine: Engine, *orders: Order, watched: tuple[str, ...] = (), every: int = 1) -> list:
    """All events; jobs that are watched are so at each step."""
    for order in orders:
        engine.submit(order)
    events: list[Event] = []
    while not engine.idle:
        for job in watched:
            engine.watch(job, every)
        events += engine.step()
    return events


@pytest.mark.parametrize(("every", "steps"), [(1, [2, 3, 4, 5, 6]), (3, [3, 6]), (9, [])])
def test_who_looks_has_previews_made_that_no_request_wants(
    engine: Engine, every: int, steps: list[int]
) -> None:
    orders = [tiny.order(job, num_inference_steps=7) for job in ("job", "other")]
    events = drawn(engine, *orders, watched=("job",), every=every)
    assert [one.step for one in previews(events)] == steps
    assert previews(events, "other") == []


def test_each_look_is_worth_one_preview(engine: Engine) -> None:
    engine.submit(tiny.order("job", num_inference_steps=9))
    events = engine.step()
    engine.watch("job", 1)
    events += tiny.drain(engine)
    assert [one.step for one in previews(events)] == [2]


def test_of_a_job_with_many_images_the_first_unfinished_one_is_shown(engine: Engine) -> None:
    request = tiny.order("job", num_inference_steps=4, n=3).request
    orders = [Order("job", index, request, request.seed + index) for index in (2, 1)]
    events = drawn(engine, *orders, watched=("job",))
    assert {one.index for one in previews(events)} == {1}


def test_a_request_s_own_previews_are_as_it_wants_them_whoever_looks(engine: Engine) -> None:
    order = tiny.order("job", num_inference_steps=7, preview_interval=3)
    events = drawn(engine, order, watched=("job", "gone"))
    assert [one.step for one in previews(events)] == [3, 6]


def test_what_is_looked_at_keeps_its_shape_within_a_bound(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = tiny.order("job", width=128, height=64)
    (whole,) = {one.pixels.shape for one in previews(drawn(engine, order, watched=("job",)))}
    monkeypatch.setattr(predicted_x0, "WATCHED_SIDE_PX", 32)
    (small,) = {one.pixels.shape for one in previews(drawn(engine, order, watched=("job",)))}
    assert (whole, small) == ((64, 128, 3), (16, 32, 3))


@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.UNIPC])
def test_no_bit_of_a_strict_picture_is_changed_by_who_looks(
    engine: Engine, sampler: Sampler
) -> None:
    fields = {"determinism": "strict", "sampler": sampler, "num_inference_steps": 6, "seed": 1}
    fields |= {"hires": {"width": 128, "height": 128, "steps": 3, "strength": 1.0}}
    whole = [drawn(engine, tiny.order("job", **fields), watched=who) for who in ((), ("job",))]
    assert [bool(previews(events)) for events in whole] == [False, True]
    assert np.array_equal(*map(picture, whole))


def test_a_model_without_a_tiny_autoencoder_shows_nothing_to_who_looks(loaded: Diffusion) -> None:
    events = drawn(Engine(sharing(loaded)), tiny.order("job"), watched=("job",))
    assert previews(events) == []
    assert picture(events).shape == (64, 64, 3)


def test_a_simulated_preview_costs_time_and_changes_no_pixel() -> None:
    drawn, clocks = [], []
    for interval in (0, 1):
        engine = Engine(Simulated({"epsilon": Charge(0.01, 0.001, 64, preview_s=0.002)}))
        engine.submit(tiny.order("job", num_inference_steps=5, preview_interval=interval))
        events = tiny.drain(engine)
        assert [one.step for one in previews(events)] == [1, 2, 3, 4][: 4 * interval]
        drawn.append(picture(events).tobytes())
        clocks.append(engine.backend.now())
    assert drawn[0] == drawn[1]
    assert clocks[1] - clocks[0] == pytest.approx(4 * 0.002)
