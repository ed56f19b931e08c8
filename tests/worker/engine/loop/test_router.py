"""Several backends in one engine, each with its own models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from latentry.contracts import Lora
from latentry.errors import AdapterUnusable, UnknownModel
from tests.worker.engine import tiny
from worker.engine.loop import Engine, Failed, Preview, Step
from worker.engine.loop.router import BackendRouter
from worker.engine.simulated import Charge, Simulated, VirtualClock

CHARGE = Charge(call_s=0.010, row_s=0.001, area=64, picture_s=0.005)


@pytest.fixture
def alone() -> dict[str, Simulated]:
    """Two backends on one clock."""
    clock = VirtualClock()
    return {name: Simulated({name: CHARGE}, clock) for name in ("small", "large")}


def test_each_order_is_drawn_by_the_backend_of_its_model(alone: dict[str, Simulated]) -> None:
    engine = Engine(BackendRouter(alone))
    for number in range(4):
        for model in alone:
            fields = {"num_inference_steps": 3 + number, "preview_interval": 2}
            engine.submit(tiny.order(f"{model}-{number}", model=model, **fields))
    events = tiny.drain(engine)
    drawn = tiny.pixels(events)
    assert len(drawn) == 8
    assert any(isinstance(event, Preview) for event in events)
    for model in alone:
        single = Engine(Simulated({model: CHARGE}))
        single.submit(tiny.order("job", model=model, num_inference_steps=3))
        assert np.array_equal(tiny.pixels(tiny.drain(single))["job"], drawn[f"{model}-0"])


def test_no_call_has_rows_of_two_backends(
    alone: dict[str, Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    router, models = BackendRouter(alone), []
    advance = router.advance

    def watched(members: list, rows: int) -> None:
        models.append({member.order.request.model for member in members})
        advance(members, rows)

    monkeypatch.setattr(router, "advance", watched)
    engine = Engine(router)
    for number in range(6):
        engine.submit(tiny.order(f"job-{number}", model=("small", "large")[number % 2]))
    assert len(tiny.pixels(tiny.drain(engine))) == 6
    assert {frozenset(one) for one in models} == {frozenset({"small"}), frozenset({"large"})}


def test_a_picture_saved_in_one_worker_goes_on_in_another(alone: dict[str, Simulated]) -> None:
    order = tiny.order(model="large", num_inference_steps=6)
    whole, first = Engine(BackendRouter(alone)), Engine(BackendRouter(alone))
    whole.submit(order)
    first.submit(order)
    for _ in range(3):
        first.step()
    [saved] = first.save("job")
    second = Engine(Simulated({"large": CHARGE}))
    second.submit(replace(order, checkpoint=saved.checkpoint))
    events = tiny.drain(second)
    assert [event.step for event in events if isinstance(event, Step)] == [4, 5, 6]
    assert np.array_equal(tiny.pixels(events)["job"], tiny.pixels(tiny.drain(whole))["job"])


def test_all_models_are_measured_and_have_a_pace(alone: dict[str, Simulated]) -> None:
    engine = Engine(BackendRouter(alone))
    while engine.calibrate():
        pass
    assert engine.paces().keys() == alone.keys()


def test_the_router_answers_for_all_of_them(alone: dict[str, Simulated]) -> None:
    router = BackendRouter(alone)
    alone["large"].longest_test_s = 2.0
    alone["small"].failed = ("broken",)
    assert router.resident == ("small", "large")
    assert router.failed == ("broken",)
    assert router.longest_test_s == 2.0
    assert not router.is_loading
    assert all(one.identity in router.identity for one in alone.values())


def test_a_model_of_none_of_them_is_unknown(alone: dict[str, Simulated]) -> None:
    engine = Engine(BackendRouter(alone))
    engine.submit(tiny.order(model="other"))
    [failed] = tiny.drain(engine)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, UnknownModel)


def test_adapters_fit_the_models_of_all_backends(
    alone: dict[str, Simulated], tmp_path: Path
) -> None:
    file = tmp_path / "ink.safetensors"
    save_file({"lora_unet_x.lora_down.weight": np.zeros((4, 8), np.float16)}, file)
    router = BackendRouter(alone)
    entry = router.adapters.inspect(file)
    assert (entry.models, entry.rank, entry.family) == (("small", "large"), 4, "simulated")
    assert router.adapters.load("small", {entry.sha256: file}) == {}
    file.write_bytes(b"no such file")
    with pytest.raises(AdapterUnusable):
        router.adapters.inspect(file)


def test_a_simulated_picture_depends_on_the_files_of_its_loras(
    alone: dict[str, Simulated],
) -> None:
    def colour(**fields: object) -> bytes:
        lora = Lora(**({"id": "a", "weight": 1.0, "text_encoder_weight": 1.0} | fields))
        engine = Engine(BackendRouter(alone))
        engine.submit(tiny.order(model="small", loras=(lora,)))
        return tiny.pixels(tiny.drain(engine))["job"].tobytes()

    one = colour(sha256="1")
    assert colour(sha256="1", id="b") == one
    assert colour(sha256="2") != one
    assert colour(sha256="1", weight=0.5) != one
