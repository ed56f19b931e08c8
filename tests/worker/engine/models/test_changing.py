"""Models whose files go, or become other ones, while they draw, load or wait."""

import gc
import shutil
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from latentry.errors import AdapterUnusable, ConfigurationError, ModelGone, ModelNotLoaded
from tests.worker.engine import tiny
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.written import Style
from tests.worker.inodes import invent_inodes
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Failed

ALL = ["a", "b", "xl"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("changing")
    made = {model: tiny.make(root / model, tiny.EPSILON, seed=ord(model)) for model in "ab"}
    return made | {"xl": tiny.make(root / "xl", tiny.EPSILON, family=tiny.Family.SDXL)}


class Serving:
    """An engine that serves the first model as `a`, and what it draws with each of them."""

    def __init__(self, sources: dict[str, Path], memory: float = 0.0) -> None:
        self.sources = sources
        self.backend = Diffusion(device="cpu", dtype="float32", threads=1)
        self.backend.open({"a": sources["a"]})
        memory_of = self.backend._residents.memory
        memory_of.budget_bytes = int(memory * memory_of.used_bytes)
        self.engine = Engine(self.backend)

    def change(self, to: str | None, model: str = "a") -> None:
        blueprint = self.backend.reader.read(model, self.sources[to])[1] if to else None
        self.engine.change_model(model, blueprint)

    def submit(self, job: str, steps: int = 4, **fields: Any) -> None:
        fields = {"model": "a", "num_inference_steps": steps} | fields
        self.engine.submit(tiny.order(job, **fields))

    def run(self) -> dict[str, Any]:
        """Pictures and failures by job, once all is done and nothing is changing."""
        ended: dict[str, Any] = {}
        while not self.engine.idle or self.engine.is_changing:
            for event in self.engine.step():
                if isinstance(event, Done):
                    ended[event.job] = event.pixels
                elif isinstance(event, Failed):
                    ended[event.job] = event.error.code
        return ended


@pytest.fixture
def serving(sources: dict[str, Path]) -> Serving:
    return Serving(sources)


@pytest.fixture(scope="module")
def drawn(sources: dict[str, Path]) -> dict[str, np.ndarray]:
    """What each of them draws, where it is called `a`."""
    found = {}
    for model in ALL:
        serving = Serving(sources)
        serving.backend.load("a", sources[model])
        serving.submit("job")
        found[model] = serving.run()["job"]
    return found


def test_a_new_model_is_loaded_before_anybody_asks_if_there_is_room(
    serving: Serving, drawn: dict[str, np.ndarray]
) -> None:
    serving.change("b", model="new")
    assert serving.engine.idle
    assert serving.engine.is_changing
    serving.run()
    assert list(serving.backend.models) == ["a", "new"]
    serving.submit("job", model="new")
    assert np.array_equal(serving.run()["job"], drawn["b"])


def test_a_new_model_evicts_nobody_until_it_is_asked_for(sources: dict[str, Path]) -> None:
    serving = Serving(sources, memory=1.5)
    serving.change("b", model="new")
    serving.run()
    assert list(serving.backend.models) == ["a"]
    serving.submit("job", model="new")
    assert set(serving.run()) == {"job"}
    assert list(serving.backend.models) == ["new"]


def test_images_that_have_begun_are_drawn_when_their_model_goes_and_its_memory_is_freed(
    serving: Serving,
) -> None:
    serving.submit("begun", steps=6)
    serving.engine.step()
    serving.change(None)
    serving.submit("late")
    ended = serving.run()
    assert isinstance(ended["begun"], np.ndarray)
    assert ended["late"] == "model_gone"
    assert not serving.backend.models
    assert serving.backend._residents.memory.used_bytes == 0
    with pytest.raises(ModelGone):
        serving.backend.ready("a")


def test_what_replaces_a_model_draws_what_begins_later_and_nothing_that_has_begun(
    serving: Serving, drawn: dict[str, np.ndarray]
) -> None:
    serving.submit("begun")
    serving.engine.step()
    serving.change("xl")
    serving.submit("late")
    ended = serving.run()
    assert np.array_equal(ended["begun"], drawn["a"])
    assert np.array_equal(ended["late"], drawn["xl"])
    assert serving.backend.models["a"].fingerprint != ""


def test_a_model_that_is_replaced_twice_is_the_last_one(
    serving: Serving, drawn: dict[str, np.ndarray]
) -> None:
    serving.submit("begun", steps=6)
    serving.engine.step()
    serving.change("b")
    serving.change(None)
    serving.change("xl")
    serving.submit("late")
    assert np.array_equal(serving.run()["late"], drawn["xl"])
    serving.change("b")  # while it is idle
    serving.submit("last")
    assert np.array_equal(serving.run()["last"], drawn["b"])


@pytest.mark.parametrize("to", ["xl", None])
def test_a_model_that_changes_while_it_is_read_is_never_proved(
    serving: Serving, drawn: dict[str, np.ndarray], to: str | None, monkeypatch
) -> None:
    serving.backend._residents.evict("a")
    serving.submit("job")
    serving.engine.step()  # it is asked for
    serving.engine.step()
    assert serving.engine.is_loading
    proved = []
    monkeypatch.setattr(serving.backend._residents, "_prove", lambda model: proved.append(
        serving.backend.models[model].card.family
    ))  # fmt: skip
    serving.change(to)
    ended = serving.run()["job"]
    assert proved == (["SDXL"] if to else [])
    assert np.array_equal(ended, drawn["xl"]) if to else ended == "model_gone"


def test_a_model_that_waits_for_memory_may_change(
    sources: dict[str, Path], drawn: dict[str, np.ndarray]
) -> None:
    serving = Serving(sources, memory=1.5)
    serving.change("b", model="new")
    serving.submit("long", steps=12)
    serving.engine.step()
    serving.submit("job", model="new")
    serving.engine.step()
    serving.change("a", model="new")
    ended = serving.run()
    assert np.array_equal(ended["job"], drawn["a"])


def test_strict_profiles_and_checkpoints_know_what_replaced_a_model(serving: Serving) -> None:
    def profile() -> str | None:
        serving.submit("job", determinism="strict")
        while not serving.engine.idle:
            found = [e.profile for e in serving.engine.step() if isinstance(e, Done)]
        return found[0]

    first = profile()
    serving.submit("saved", steps=6, determinism="strict")
    for _ in range(3):
        serving.engine.step()
    [saved] = serving.engine.save("saved")
    assert saved.step
    serving.engine.drop("saved")
    serving.change("b")
    serving.run()
    assert profile() != first
    order = tiny.order("saved", model="a", num_inference_steps=6, determinism="strict")
    serving.engine.submit(replace(order, checkpoint=saved.checkpoint))
    serving.submit("anew", steps=6, determinism="strict")
    ended = serving.run()
    assert np.array_equal(ended["saved"], ended["anew"]), "it begins from the start"


def test_what_does_not_load_is_tried_again_as_what_replaces_it(
    serving: Serving, drawn: dict[str, np.ndarray], monkeypatch
) -> None:
    def refuse(_: str) -> None:
        raise ConfigurationError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(serving.backend._residents, "_prove", refuse)
        serving.change("b")
        serving.run()
        assert serving.backend.failed == ("a",)
        with pytest.raises(ModelNotLoaded):
            serving.backend.ready("a")
    serving.change("xl")
    serving.submit("job")
    assert np.array_equal(serving.run()["job"], drawn["xl"])


def test_weights_without_a_place_and_models_that_never_fit_are_refused_when_they_are_read(
    serving: Serving, sources: dict[str, Path], tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(sources["a"], tmp_path / "broken"))
    weights = load_file(broken / "unet/diffusion_pytorch_model.safetensors")
    weights.popitem()
    save_file(weights, broken / "unet/diffusion_pytorch_model.safetensors")
    with pytest.raises(ConfigurationError, match="lack 1 tensors"):
        serving.backend.reader.read("broken", broken)
    serving.backend._residents.memory.budget_bytes = 10
    with pytest.raises(ConfigurationError, match="LATENTRY_MODEL_MEMORY_BYTES"):
        serving.backend.reader.read("b", sources["b"])


def test_nothing_keeps_what_has_left(serving: Serving) -> None:
    serving.submit("job")
    serving.run()
    [model] = serving.backend.models.values()
    left = weakref.ref(model.unet)
    del model
    serving.change("b")
    serving.run()
    gc.collect()
    assert left() is None


def test_adapters_that_were_loaded_for_what_a_model_was_are_loaded_anew(
    serving: Serving, tmp_path: Path
) -> None:
    networks = SimpleNamespace(unet=serving.backend.models["a"].unet)
    weights = written.kohya(written.terms(networks, Style(), seed=1))
    path = written.save(weights, tmp_path / "ink.safetensors")
    shelf, sha256 = serving.backend.adapters, AdapterFile.read(path).sha256
    edition, before = shelf.edition, shelf.load("a", {sha256: path})
    order = replace(tiny.order("late", model="a"), adapters=before)
    serving.change("b")
    serving.run()
    assert shelf.edition != edition
    with pytest.raises(ModelNotLoaded):
        serving.backend.plan(order)
    size = shelf.bank.used_bytes
    after = shelf.load("a", {sha256: path})
    assert after[sha256] is not before[sha256]
    assert shelf.load("a", {sha256: path}) == after, "it is found now"
    assert shelf.bank.used_bytes == 2 * size, "the old one is used, and counted"
    serving.backend.plan(replace(order, adapters=after))
    del before, order
    assert shelf.bank.used_bytes == size
    serving.submit("begun")
    serving.engine.step()
    serving.change(None)
    with pytest.raises(ModelGone):  # though it draws to its end
        shelf.load("a", {sha256: path})
    with pytest.raises(AdapterUnusable, match="no model that it could fit"):
        shelf.inspect(path)
    assert set(serving.run()) == {"begun"}


def test_weights_of_a_file_that_was_replaced_are_not_read_by_the_old_header(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    """It would be read between two looks."""
    serving = Serving({"a": Path(shutil.copytree(sources["a"], tmp_path / "a"))})
    serving.backend._residents.evict("a")
    file = serving.sources["a"] / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(sources["xl"] / "unet" / file.name, tmp_path / "new")
    (tmp_path / "new").replace(file)
    serving.submit("job")
    assert serving.run()["job"] == "model_not_loaded"


def test_where_inodes_are_invented_a_model_loads_and_is_the_same(
    sources: dict[str, Path], drawn: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(sources)
    before = serving.backend._residents.blueprints["a"].identity
    invent_inodes(monkeypatch)
    assert serving.backend._residents.blueprints["a"].identity == before
    serving.backend._residents.evict("a")
    serving.submit("job")
    assert np.array_equal(serving.run()["job"], drawn["a"])
