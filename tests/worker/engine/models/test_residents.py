"""Models come and go within their memory, and those that draw are not disturbed."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from structlog.testing import capture_logs

from latentry.errors import ConfigurationError, ModelNotLoaded, UnknownModel
from latentry.sources import HubPin, Source
from tests.worker.engine import tiny
from worker.engine import attempts
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Failed
from worker.engine.models.loading.part_reader import PartReader
from worker.engine.models.served_model import RETRY_S, TURN_S, Residency
from worker.engine.models.sources.folder import blueprint_from_folder

ALL = ["a", "b", "c"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("residents")
    return {model: tiny.make(root / model, tiny.EPSILON, seed=ord(model)) for model in ALL}


@pytest.fixture(scope="module")
def size(sources: dict[str, Path]) -> int:
    return blueprint_from_folder("a", sources["a"], prefer_fp16=False).size_bytes(torch.float32)


class Clock:
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        self.seconds += 0.001
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Observed(Diffusion):
    """A backend that calls `before_proof` with each model that it is about to prove."""

    def __init__(self, **options: Any) -> None:
        self.before_proof: Callable[[str], None] = lambda _: None
        super().__init__(**options)

    def self_test(self, model: str) -> float:
        self.before_proof(model)
        return super().self_test(model)

    def refuse_more_than(self, models: int) -> None:
        """From now on the device has no memory for more models."""

        def refuse(_: str) -> None:
            if len(self.models) > models:
                raise torch.OutOfMemoryError

        self.before_proof = refuse


@pytest.fixture
def serving(
    sources: dict[str, Path], size: int, clock: Clock
) -> Callable[[float], tuple[Engine, Observed]]:
    def make(models: float) -> tuple[Engine, Observed]:
        budget = int(models * size)
        backend = Observed(
            device="cpu", dtype="float32", threads=1, model_memory_bytes=budget, clock=clock
        )
        assert [card.id for card in backend.open(sources)] == ALL
        return Engine(backend), backend

    return make


def pictures(engine: Engine) -> dict[str, np.ndarray]:
    done = {}
    while not engine.idle:
        done |= {e.job: e.pixels for e in engine.step() if isinstance(e, Done)}
    return done


def test_the_weights_are_counted_to_the_byte(sources: dict[str, Path], size: int) -> None:
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load("a", sources["a"])
    model = backend.models["a"]
    modules = [model.unet, model.vae, *(clip.model for clip in model.conditioner.encoders)]
    assert size == sum(p.nbytes for module in modules for p in module.parameters())


def test_all_are_loaded_at_once_where_nothing_forbids_it(serving: Callable) -> None:
    _, backend = serving(0)
    assert list(backend.models) == ALL


def test_models_are_loaded_in_order_until_the_memory_is_full_and_all_are_listed(
    serving: Callable,
) -> None:
    _, backend = serving(2.5)
    assert list(backend.models) == ["a", "b"]


def test_a_model_that_was_not_loaded_draws_what_it_always_draws(
    serving: Callable, sources: dict[str, Path]
) -> None:
    plenty, _ = serving(0)
    plenty.submit(tiny.order("c", model="c"))
    expected = pictures(plenty)["c"]
    engine, backend = serving(1)
    engine.submit(tiny.order("c", model="c"))
    assert np.array_equal(pictures(engine)["c"], expected)
    assert list(backend.models) == ["c"]


def test_a_model_is_proved_only_in_a_step_announced_as_loading_and_not_timed(
    serving: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog waits longer for such a step, and must not learn from it how long steps take."""
    engine, backend = serving(1)
    proved = []
    clock = backend.now
    late = 0.0

    def slowly(_: str) -> None:
        nonlocal late
        late += 1000
        proved.append(engine_said)

    backend.before_proof = slowly
    monkeypatch.setattr(backend, "now", lambda: clock() + late)
    engine.submit(tiny.order("c", model="c"))
    while not engine.idle:
        engine_said = engine.is_loading
        engine.step()
        assert engine.last_step.total_s < 1000
    assert proved == [True]


def test_the_least_recently_needed_model_is_evicted(serving: Callable) -> None:
    engine, backend = serving(2)
    for model in ("b", "a"):
        engine.submit(tiny.order(model=model))
        pictures(engine)
    engine.submit(tiny.order(model="c"))
    pictures(engine)
    assert set(backend.models) == {"a", "c"}


def test_a_model_stays_while_it_draws(serving: Callable) -> None:
    engine, backend = serving(1)
    engine.submit(tiny.order("long", model="a", num_inference_steps=30))
    engine.step()
    engine.submit(tiny.order("b", model="b"))
    ended = []
    while not engine.idle:
        ended += [event.job for event in engine.step() if isinstance(event, Done)]
        assert ended or "a" in backend.models
    assert ended == ["long", "b"]


def test_a_model_in_constant_demand_gives_way_when_its_turn_is_over(
    serving: Callable, clock: Clock
) -> None:
    engine, _ = serving(1)
    engine.submit(tiny.order("b", model="b"))
    ended: list[str] = []
    for number in range(400):
        if engine.room > 0:
            engine.submit(tiny.order(f"a{number}", model="a"))
        ended += [event.job for event in engine.step() if isinstance(event, Done)]
        if number == 20:
            assert "b" not in ended, "it was not even its turn"
            clock.seconds += TURN_S
        if "b" in ended:
            break
    assert "b" in ended
    rest = set(pictures(engine))
    assert rest, "the orders that gave way are drawn after all"


def test_others_step_on_while_a_model_is_read(
    serving: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the disk is."""
    disk = threading.Event()
    engine, backend = serving(2)
    monkeypatch.setattr(PartReader, "read_all", _slowly(PartReader.read_all, disk))
    engine.submit(tiny.order("a", model="a", num_inference_steps=20))
    engine.submit(tiny.order("c", model="c"))
    steps = 0
    ended: list[str] = []
    while "a" not in ended:
        ended += [event.job for event in engine.step() if isinstance(event, Done)]
        steps += 1
    assert steps >= 20
    assert "c" not in backend.models
    disk.set()
    assert set(pictures(engine)) == {"c"}


def _slowly(read: Callable, disk: threading.Event) -> Callable:
    def wait_and_read(reader: object, *arguments: object) -> object:
        assert disk.wait(60)
        return read(reader, *arguments)

    return wait_and_read


READING = """
import os, sys, threading, time
import torch
from pathlib import Path
from worker.engine.device import Device
from worker.engine.models.loading.conversion import converted
from worker.engine.models.sources.folder import blueprint_from_folder
from worker.engine.models.loading.loading import Loading

torch.set_num_threads(4)
threads = lambda: set(os.listdir("/proc/self/task"))

def new_ones(work, within_s):
    before = threads()
    work()
    deadline = time.monotonic() + within_s  # a thread that ended may be seen a moment longer
    while (new := threads() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    found.append(len(new))

found = []
blueprint = blueprint_from_folder("a", Path(sys.argv[1]), prefer_fp16=False)
at = Device.choose("cpu", "bfloat16")
large = torch.zeros(256, 128, 3, 3).half()
for work in (
    (Loading(blueprint, at, threads=2).read, 5),
    (lambda: converted([large], large.shape, at), 0.5),
    (lambda: large.to(at.dtype), 0.5),
):
    thread = threading.Thread(target=new_ones, args=work)
    thread.start()
    thread.join()
print(*found)
"""


def test_reading_a_model_starts_no_thread_that_computes(sources: dict[str, Path]) -> None:
    """Each would stay for good, and slow the others down (docs/decisions/0004)."""
    command = [sys.executable, "-c", READING, str(sources["a"])]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    reading, converting, computing = map(int, ended.stdout.split())
    assert reading == 0
    assert converting == 0
    assert computing > 0, "or this test could not tell"


@pytest.fixture
def broken(sources: dict[str, Path], size: int, clock: Clock, tmp_path: Path) -> Diffusion:
    """Holds a; b is cut short after its header was read."""
    copy = Path(shutil.copytree(sources["b"], tmp_path / "b"))
    backend = Diffusion(
        device="cpu", dtype="float32", threads=1, model_memory_bytes=size, clock=clock
    )
    backend.open({"a": sources["a"], "b": copy})
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    return backend


def test_a_model_that_does_not_load_fails_its_jobs_and_is_not_tried_for_a_while(
    broken: Diffusion, clock: Clock, sources: dict[str, Path], tmp_path: Path
) -> None:
    engine = Engine(broken)

    def ends(job: str, model: str) -> list[object]:
        engine.submit(tiny.order(job, model=model))
        events = []
        while not engine.idle:
            events += engine.step()
        return [event for event in events if isinstance(event, Done | Failed)]

    with capture_logs() as logs:
        (first,) = ends("first", "b")
    assert isinstance(first, Failed)
    assert isinstance(first.error, ModelNotLoaded)
    assert first.error.model == "b"
    assert str(tmp_path) not in first.error.message, "its job's owner has no business there"
    [why] = [one["why"] for one in logs if one["event"] == "model.not_loaded"]
    assert "cut short" in why
    (second,) = ends("second", "b")
    assert isinstance(second, Failed), "and no second attempt was made at once"
    assert broken.failed == ("b",)
    (other,) = ends("other", "a")
    assert isinstance(other, Done)
    clock.seconds += RETRY_S
    shutil.copytree(sources["b"], tmp_path / "b", dirs_exist_ok=True)
    (third,) = ends("third", "b")
    assert isinstance(third, Done)


def test_no_memory_on_the_device_evicts_instead_of_failing(serving: Callable) -> None:
    engine, backend = serving(0)
    backend._residents.evict("c")
    backend.refuse_more_than(2)
    engine.submit(tiny.order("c", model="c"))
    assert set(pictures(engine)) == {"c"}
    assert len(backend.models) == 2


def test_a_model_larger_than_what_a_full_device_left_of_the_budget_is_tried_alone(
    serving: Callable, size: int
) -> None:
    """The budget is then what was in memory beside a smaller one that did not fit."""
    engine, backend = serving(1)
    backend._residents.memory.budget_bytes = size - 1
    engine.submit(tiny.order("b", model="b"))
    for _ in range(1000):
        if any(isinstance(event, Done) for event in engine.step()):
            break
    else:
        pytest.fail("it waits for ever")
    assert list(backend.models) == ["b"]
    backend.refuse_more_than(0)
    engine.submit(tiny.order("c", model="c"))
    events = [event for _ in range(1000) if not engine.idle for event in engine.step()]
    assert [event.error.code for event in events if isinstance(event, Failed)] == [
        "model_not_loaded"
    ]


def test_a_full_device_at_the_start_leaves_the_rest_for_later(
    sources: dict[str, Path],
) -> None:
    backend = Observed(device="cpu", dtype="float32", threads=1)
    backend.refuse_more_than(2)
    assert [card.id for card in backend.open(sources)] == ALL
    assert list(backend.models) == ["a", "b"]


def test_a_model_larger_than_the_memory_is_refused(sources: dict[str, Path], size: int) -> None:
    backend = Diffusion(device="cpu", dtype="float32", model_memory_bytes=size - 1)
    with pytest.raises(ConfigurationError, match="LATENTRY_MODEL_MEMORY_BYTES allows"):
        backend.open(sources)


def _edit(file: str, **changes: object) -> Callable[[Path], Path]:
    def spoil(folder: Path) -> Path:
        path = folder / file
        config = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(config | changes))
        return folder

    return spoil


def _damage_words(folder: Path) -> Path:
    (folder / "tokenizer" / "tokenizer.json").write_text("{")
    return folder


def _file(name: str) -> Callable[[Path], Path]:
    def spoil(folder: Path) -> Path:
        weights = {
            f"model.diffusion_model.{name}": torch.zeros(4, 4),
            "cond_stage_model.transformer.text_model.final_layer_norm.bias": torch.zeros(4),
        }
        save_file(weights, folder / "whole.safetensors")
        return folder / "whole.safetensors"

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder / "nowhere",
        _damage_words,
        _edit("unet/config.json", sample_size="large"),
        _edit("vae/config.json", block_out_channels=None),
        _edit("latentry.json", default_steps=0),
        _file("input_blocks.1.weight"),
        _file("input_blocks.0.0.op.weight"),
        lambda _: HubPin("my--org/m", "0" * 40),
    ],
)
def test_one_unusable_model_does_not_cost_the_others(
    sources: dict[str, Path], tmp_path: Path, spoil: Callable[[Path], Source]
) -> None:
    bad = spoil(Path(shutil.copytree(sources["b"], tmp_path / "b")))
    backend, seen = Diffusion(device="cpu", dtype="float32"), []
    cards = backend.open({"bad": bad, "a": sources["a"]}, before=seen.append)
    assert [card.id for card in cards] == ["a"]
    assert seen == [bad, sources["a"]]
    with pytest.raises(UnknownModel):
        backend.ready("bad")
    with pytest.raises(ConfigurationError):
        backend.open({"bad": bad})


def test_no_model_is_evicted_in_vain_and_one_that_fits_does_not_wait_for_one_that_does_not(
    serving: Callable,
) -> None:
    engine, backend = serving(3)
    residents = backend._residents
    residents.evict("b")
    residents.evict("c")
    residents.memory.budget_bytes = 2 * residents.served["a"].size_bytes
    residents.served["b"].size_bytes *= 2
    engine.submit(tiny.order("a", model="a", num_inference_steps=30))
    engine.step()
    for model in ("b", "c"):
        engine.submit(tiny.order(model, model=model))
    ended: list[str] = []
    for _ in range(3):
        ended += [event.job for event in engine.step() if isinstance(event, Done)]
    assert residents.served["b"].state is Residency.WAITING
    assert residents.served["c"].state is Residency.LOADING, "while a draws"
    assert not ended
    assert set(pictures(engine)) == {"a", "b", "c"}


def test_the_free_stay_where_letting_them_go_is_not_enough(serving: Callable) -> None:
    engine, backend = serving(0)
    residents = backend._residents
    residents.evict("c")
    residents.memory.budget_bytes = 2 * residents.served["a"].size_bytes
    residents.served["c"].size_bytes *= 2
    engine.submit(tiny.order("a", model="a", num_inference_steps=30))
    engine.step()
    engine.submit(tiny.order("c", model="c"))
    ended: list[str] = []
    while not engine.idle:
        ended += [event.job for event in engine.step() if isinstance(event, Done)]
        assert ended or set(backend.models) == {"a", "b"}
    assert ended == ["a", "c"]


def test_strict_calls_have_the_rows_that_the_models_overrides_say(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(sources["a"], tmp_path / "a"))
    (copy / "latentry.json").write_text('{"strict_rows": 4}')
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load("four", copy)
    backend.load("eight", sources["a"])
    for model, rows in {"four": 4, "eight": 8}.items():
        assert backend.plan(tiny.order(model=model, determinism="strict")).key.bucket == rows


class Deadly(Diffusion):
    """A backend on which one model loses the device, as a kernel that CUDA cannot go on after."""

    def self_test(self, model: str) -> float:
        if model == "b":
            raise torch.AcceleratorError("an illegal memory access was encountered")
        return super().self_test(model)


@pytest.mark.parametrize("at_start", [True, False])
def test_a_model_that_loses_the_device_again_and_again_is_left_out(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at_start: bool
) -> None:
    """Without it every start would end so, and no model be served at all."""

    def process(number: int) -> Diffusion:
        monkeypatch.setattr(attempts, "_PROCESS", str(number))
        noted = attempts.Attempts(tmp_path, fatal=torch.AcceleratorError)
        backend = Deadly(device="cpu", dtype="float32", threads=1, attempts=noted)
        try:
            backend.open(sources if at_start else {"a": sources["a"]})
            if not at_start:
                backend.change_model("b", backend.reader.read("b", sources["b"])[1])
                while backend.is_changing:
                    backend.continue_loading(idle=True)
        finally:
            for _, descriptor in noted._own.values():  # as its end does
                os.close(descriptor)
        return backend

    for number in range(attempts.MOST):
        with pytest.raises(torch.AcceleratorError):
            process(number)
    with capture_logs() as logs:
        backend = process(attempts.MOST)
    assert list(backend.models) == (["a", "c"] if at_start else ["a"])
    [why] = [one["why"] for one in logs if one["event"] in ("model.unusable", "model.not_loaded")]
    assert why.startswith("b is not loaded: 3 times the worker died")
    with pytest.raises(UnknownModel if at_start else ModelNotLoaded):
        backend.ready("b")
