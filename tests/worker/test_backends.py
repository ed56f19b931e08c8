"""Which backend draws, and that a simulation needs nothing that draws."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latentry.contracts.background.controls import PREPROCESSORS
from latentry.settings import Settings
from tests.worker.engine import tiny
from tests.worker.engine.upscaling import esrgan
from worker.backends import open_backend
from worker.engine.loop import Done, Engine, Order
from worker.engine.loop.router import BackendRouter
from worker.process.keepalive import NoKeepalive

FAST = Settings(models="a=simulated:call_ms=0.1:row_ms=0.1:picture_ms=0.1")
HEAVY = {"torch", "diffusers", "transformers"}


def pictures_of(engine: Engine, *orders: Order) -> list[Done]:
    for order in orders:
        engine.submit(order)
    events = []
    while not engine.idle:
        events += engine.step()
    return [event for event in events if isinstance(event, Done)]


def test_a_simulations_whole_worker_is_wired_without_torch() -> None:
    code = f"""
import json, sys
from latentry.settings import Settings
from worker import app
from worker.backends import open_backend
from worker.process.keepalive import NoKeepalive
open_backend(Settings(models={FAST.models!r}), NoKeepalive())
print(json.dumps(sorted(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert not HEAVY & set(json.loads(ran.stdout))


def test_every_picture_of_a_simulation_has_the_profile_simulated() -> None:
    backend, [card, *_] = open_backend(FAST, NoKeepalive())
    assert (card.id, backend.failed) == ("a", ())
    orders = [tiny.order(how, model="a", determinism=how) for how in ("fast", "strict")]
    assert [done.profile for done in pictures_of(Engine(backend), *orders)] == ["simulated"] * 2


def test_a_damaged_checkpoint_or_one_of_another_picture_is_ignored() -> None:
    def engine() -> Engine:
        return Engine(open_backend(FAST, NoKeepalive())[0])

    order = tiny.order(model="a", num_inference_steps=6)
    [whole] = pictures_of(engine(), order)
    half = engine()
    half.submit(order)
    half.step()
    [saved] = half.save("job")
    assert saved.step
    others = tiny.order(model="a", num_inference_steps=6, seed=99)
    for one, checkpoint in [
        (order, saved.checkpoint),
        (order, saved.checkpoint[:-1] + b"?"),
        (order, b"\xff\xff\xff\xff" + saved.checkpoint[4:]),
        (order, b"?"),
        (others, saved.checkpoint),
    ]:
        again = Order("job", 0, one.request, one.seed, checkpoint)
        [done] = pictures_of(engine(), again)
        assert np.array_equal(done.pixels, whole.pixels) == (one is order)


@pytest.mark.parametrize(("setting", "compiles"), [("auto", False), ("off", False), ("on", True)])
def test_on_a_cpu_unets_are_compiled_only_if_that_is_on(setting: str, compiles: bool) -> None:
    settings = Settings(models="shapes=models/shapes", device="cpu", compile=setting)
    backend, _ = open_backend(settings, NoKeepalive())
    assert ("compiled" in backend.identity) is compiles


def test_models_of_both_kinds_share_one_engine() -> None:
    mixed = "shapes=models/shapes,a=simulated:call_ms=0.1"
    backend, cards = open_backend(Settings(models=mixed, device="cpu"), NoKeepalive())
    assert isinstance(backend, BackendRouter)
    assert [card.queue for card in cards] == ["shapes", "a", "upscaler/lanczos", PREPROCESSORS]
    assert (backend.resident, backend.failed) == (
        ("shapes", "a", "upscaler/lanczos", PREPROCESSORS),
        (),
    )
    sizes = {"shapes": {"width": 128, "height": 128}, "a": {}}
    orders = [
        tiny.order(model, model=model, determinism="strict", num_inference_steps=2, **sizes[model])
        for model in sizes
    ]
    profiles = {done.job: done.profile for done in pictures_of(Engine(backend), *orders)}
    assert profiles["a"] == "simulated"
    assert profiles["shapes"] not in (None, "simulated")


def test_upscaling_networks_take_of_the_memory_for_models(tmp_path: Path) -> None:
    file = esrgan.write(tmp_path / "tiny.safetensors", esrgan.random_weights())
    budget = 2**40
    settings = Settings(
        models="shapes=models/shapes",
        upscalers=str(file),
        device="cpu",
        model_memory_bytes=budget,
    )
    backend, _ = open_backend(settings, NoKeepalive())
    memory = backend.backend_of("shapes")._residents.memory
    assert budget - memory.budget_bytes == sum(
        one.nbytes for one in esrgan.random_weights().values()
    )


def test_a_folder_may_have_no_model_yet(tmp_path: Path) -> None:
    settings = Settings(models=str(tmp_path), device="cpu")
    backend, cards = open_backend(settings, NoKeepalive())
    assert [card.queue for card in cards] == ["upscaler/lanczos", PREPROCESSORS]
    reader = backend.reader
    assert reader is not None
    card, blueprint = reader.read("shapes", Path("models/shapes"))
    engine = Engine(backend)
    engine.change_model("shapes", blueprint)
    order = tiny.order(model=card.id, width=128, height=128, num_inference_steps=1)
    assert len(pictures_of(engine, order)) == 1
    assert set(backend.resident) == {"shapes", "upscaler/lanczos", PREPROCESSORS}
    assert "shapes" in backend.adapters.identity
    assert backend.adapters.edition
