"""The step loop on a clock: the same loop, with arithmetic that only costs time."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from latentry.contracts import Sampler
from latentry.rules.pricing import unet_calls
from tests.modes import MODES
from tests.worker.engine import tiny
from worker.batching import Costs
from worker.engine.loop import Engine, Failed, Joined, Order, Step
from worker.engine.simulated import Charge, Simulated

CHARGE = Charge(call_s=0.010, row_s=0.001, area=64, picture_s=0.005)


def simulated(**limits: float) -> Engine:
    return Engine(Simulated({"epsilon": CHARGE}), Costs(**limits))


def test_the_loop_needs_no_torch() -> None:
    code = "import sys, worker.engine.simulated; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_single_picture_costs_its_calls_and_its_decode() -> None:
    engine = simulated()
    engine.submit(tiny.order(num_inference_steps=25))
    tiny.drain(engine)
    assert engine.backend.now() == pytest.approx(25 * 0.012 + 0.005)


@pytest.mark.parametrize("sampler", Sampler)
def test_every_sampler_costs_the_calls_that_it_is_priced_at(sampler: Sampler) -> None:
    engine = simulated()
    engine.submit(tiny.order(num_inference_steps=7, sampler=sampler))
    tiny.drain(engine)
    calls = unet_calls(sampler, 7)
    assert engine.backend.now() == pytest.approx(calls * 0.012 + 0.005)


@pytest.mark.parametrize(("upscaler", "between_s"), [("latent", 0.0), ("lanczos", 0.005 * 5)])
def test_a_second_pass_costs_its_calls_at_its_size(upscaler: str, between_s: float) -> None:
    engine = simulated()
    second = {"width": 128, "height": 128, "steps": 10, "strength": 0.5, "upscaler": upscaler}
    engine.submit(tiny.order(num_inference_steps=8, hires=second))
    events = tiny.drain(engine)
    steps = [(event.step, event.steps) for event in events if isinstance(event, Step)]
    assert steps == [(k, 13) for k in range(1, 14)]
    [pixels] = tiny.pixels(events).values()
    assert pixels.shape == (128, 128, 3)
    calls_s = 8 * 0.012 + 5 * 0.018
    assert engine.backend.now() == pytest.approx(calls_s + between_s + 4 * 0.005)


def test_a_refiner_s_calls_cost_what_the_refiner_s_cost() -> None:
    models = {"epsilon": CHARGE, "refiner": replace(CHARGE, call_s=0.1, picture_s=0.5)}
    engine = Engine(Simulated(models), Costs())
    engine.submit(tiny.order(num_inference_steps=10, refiner="refiner", refiner_switch_at=0.6))
    events = tiny.drain(engine)
    steps = [(event.step, event.steps) for event in events if isinstance(event, Step)]
    assert steps == [(k, 10) for k in range(1, 11)]
    assert engine.backend.now() == pytest.approx(6 * 0.012 + 4 * 0.102 + 0.5)


def test_a_refiner_that_this_worker_has_not_fails_the_image_by_name() -> None:
    engine = simulated()
    engine.submit(tiny.order(refiner="refiner"))
    [failed] = [event for event in tiny.drain(engine) if isinstance(event, Failed)]
    assert "does not serve the model refiner" in failed.error.message


def test_steps_that_an_image_from_a_picture_skips_count_as_done() -> None:
    """A worker that was told of fewer would end: its counter of resumed steps only rises."""
    engine = simulated()
    fields = MODES["image to image"].as_resolved(1) | {"strength": 0.5}
    engine.submit(tiny.order(num_inference_steps=8, **fields))
    events = tiny.drain(engine)
    [joined] = [event for event in events if isinstance(event, Joined)]
    assert joined.step == 4
    assert [event.step for event in events if isinstance(event, Step)] == [5, 6, 7, 8]


def test_a_resume_of_either_pass_makes_the_calls_that_are_left() -> None:
    backend = simulated().backend
    second = {"width": 128, "height": 128, "steps": 10, "strength": 0.5}
    order = tiny.order(num_inference_steps=8, hires=second)
    whole, _ = backend.begin(order, backend.plan(order))
    keys = []
    while whole.calls_left:
        saved = replace(order, checkpoint=backend.save(whole))
        late, _ = backend.begin(saved, backend.plan(saved))
        assert (late.key, late.calls_left, late.step) == (whole.key, whole.calls_left, whole.step)
        keys.append(whole.key.area)
        backend.advance([whole], 2)
    assert keys == [64] * 8 + [256] * 5


def test_each_part_of_a_prompt_takes_a_row() -> None:
    backend = simulated().backend
    prompts = {"a": 2, "a AND b": 3, "[a|b] AND c AND d": 4}
    for prompt, rows in prompts.items():
        assert backend.plan(tiny.order(prompt=prompt)).rows == rows
        assert backend.plan(tiny.order(prompt=prompt, guidance_scale=1.0)).rows == rows - 1


def test_company_costs_a_little_and_is_drawn_together() -> None:
    engine = simulated()
    for number in range(4):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=25, seed=number))
    assert len(tiny.pixels(tiny.drain(engine))) == 4
    assert engine.backend.now() < 2 * (25 * 0.012 + 0.005)


def test_the_loop_corrects_measurements_that_were_slow_only_once() -> None:
    engine = simulated()
    while engine.calibrate():
        pass
    known = engine.costs.to_json()
    for curve in known:
        changed = {n: s if int(n) <= 2 else 50 * s for n, s in curve["seconds"].items()}
        curve["seconds"] = changed
    engine.costs.from_json(known)
    key = engine.backend.plan(tiny.order()).key
    assert engine.costs.cap(key) < 8
    for number in range(48):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=25, seed=number))
    tiny.drain(engine)
    assert engine.costs.cap(key) >= 24


def test_the_same_order_makes_the_same_pixels_whatever_is_drawn_beside_it() -> None:
    alone, crowded = simulated(), simulated()
    alone.submit(tiny.order("job", seed=1))
    for number in range(5):
        crowded.submit(tiny.order(f"other-{number}", num_inference_steps=number + 1))
    crowded.submit(tiny.order("job", seed=1))
    assert np.array_equal(
        tiny.pixels(tiny.drain(alone))["job"], tiny.pixels(tiny.drain(crowded))["job"]
    )


@pytest.mark.parametrize("sampler", ["ddim", "heun"])
def test_a_resumed_picture_takes_up_where_it_was_saved(sampler: str) -> None:
    whole, first, second = simulated(), simulated(), simulated()
    order = tiny.order(num_inference_steps=6, sampler=sampler)
    whole.submit(order)
    first.submit(order)
    for _ in range(4):
        first.step()
    (saved,) = first.save("job")
    assert 0 < saved.step < 6
    second.submit(Order("job", 0, order.request, order.seed, saved.checkpoint))
    events = tiny.drain(second)
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps == list(range(saved.step + 1, 7))
    assert np.array_equal(tiny.pixels(events)["job"], tiny.pixels(tiny.drain(whole))["job"])


def test_a_single_newcomer_waits_for_the_running_call_at_most() -> None:
    engine = simulated(max_rows=8)
    engine.submit(tiny.order("first", num_inference_steps=20))
    engine.step()
    engine.submit(tiny.order("second", num_inference_steps=20))
    stepped = {event.job for event in engine.step() if isinstance(event, Step)}
    assert stepped == {"first", "second"}


def test_a_row_that_comes_free_is_taken_at_the_same_boundary() -> None:
    engine = simulated(max_rows=2)
    for number in range(2):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=3))
    calls = [len([e for e in engine.step() if isinstance(e, Step)]) for _ in range(6)]
    assert calls == [1] * 6
