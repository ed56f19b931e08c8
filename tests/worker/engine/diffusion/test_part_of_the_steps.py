"""Images that make a part of their steps only, beside the stock pipelines and themselves."""

import random
from typing import Any

import pytest
import torch

from latentry.contracts import IntermediateKind, Sampler, Spacing
from latentry.rules.pricing import pass_calls, price
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.diffusion.test_from_pictures import (
    NOT_INPAINTED_AS_STOCK,
    error,
    from_picture,
)
from tests.worker.engine.stock import WALKS, Stock
from tests.worker.engine.trajectories import begun, drawn
from worker.engine.diffusion import checkpoint
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Intermediate, Order, Step

pytestmark = stock.WARNINGS

STEPS, MADE = 5, 3


def cut(job: str, model: str, sampler: Sampler, spacing: Spacing, **changes: Any) -> Order:
    fields = {"num_inference_steps": STEPS, "denoise_end": MADE / STEPS}
    return oracle.order(job, model, sampler, spacing, **(fields | changes))


@pytest.fixture
def engine(every_model: Diffusion) -> Engine:
    return Engine(every_model)


@pytest.mark.parametrize(
    ("model", "sampler", "spacing"),
    [
        *(("sdxl-epsilon", *walk) for walk in WALKS),
        *(("sd1-epsilon", sampler, Spacing.DEFAULT) for sampler in Sampler),
    ],
)
def test_an_early_end_leaves_the_latent_that_stock_leaves(
    engine: Engine, reference: Stock, model: str, sampler: Sampler, spacing: Spacing
) -> None:
    order = cut("job", model, sampler, spacing)
    verdict = oracle.judge(oracle.alone(engine, order), order, reference)
    assert not oracle.missed({order.job: verdict})


@pytest.mark.parametrize("model", ["sd2-v_zero_snr", "sdxl-v", "sd1-v"])
@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.PNDM, Sampler.UNIPC, Sampler.DPM2])
def test_so_it_does_with_every_prediction(
    engine: Engine, reference: Stock, sampler: Sampler, model: str
) -> None:
    order = cut("job", model, sampler, Spacing.DEFAULT)
    verdict = oracle.judge(oracle.alone(engine, order), order, reference)
    assert not oracle.missed({order.job: verdict})


@pytest.mark.parametrize("seed", range(2))
def test_in_a_crowd_each_ends_where_stock_does(engine: Engine, reference: Stock, seed: int) -> None:
    chance = random.Random(seed)
    orders = [
        cut(
            f"job-{number}", chance.choice(["sd1-epsilon", "sdxl-epsilon"]), *chance.choice(WALKS),
            seed=number, num_inference_steps=chance.choice([4, 5, 8]),
            denoise_end=chance.choice([0.25, 0.5, 0.8, 1.0]),
            guidance_scale=chance.choice([1.0, 2.0]),
        )
        for number in range(12)
    ]  # fmt: skip
    latents = oracle.in_a_crowd(engine, orders, chance)
    assert len(latents) > 6
    found = {one.job: one for one in orders if one.job in latents}
    assert not oracle.missed(
        {job: oracle.judge(latents[job], one, reference) for job, one in found.items()}
    )


@pytest.mark.parametrize("sampler", Sampler)
def test_it_is_the_stored_step_of_the_whole_walk_bit_for_bit(
    engine: Engine, sampler: Sampler
) -> None:
    fields: dict[str, Any] = {"determinism": "strict", "guidance_rescale": 0.5}
    whole = cut(
        "whole", "sd1-epsilon", sampler, Spacing.DEFAULT, denoise_end=1.0,
        intermediates={"every": MADE, "kinds": ("latent",)}, **fields,
    )  # fmt: skip
    part = cut("part", "sd1-epsilon", sampler, Spacing.DEFAULT, **fields)
    for one in (whole, part):
        engine.submit(one)
    events = tiny.drain(engine)
    [stored] = [one for one in events if isinstance(one, Intermediate)]
    assert (stored.step, stored.kind) == (MADE, IntermediateKind.LATENT)
    assert (stored.pixels == tiny.pixels(events)["part"]).all()
    assert (stored.pixels != tiny.pixels(events)["whole"]).any()


@pytest.mark.parametrize("sampler", Sampler)
def test_only_the_steps_that_are_made_are_counted_and_paid(
    backend: Diffusion, sampler: Sampler
) -> None:
    order = cut("job", "epsilon", sampler, Spacing.DEFAULT, intermediates={"every": 1})
    engine, calls, advance = Engine(backend), [], backend.advance
    backend.advance = lambda members, rows: (calls.append(1), advance(members, rows))[1]  # type: ignore[method-assign]
    engine.submit(order)
    events = tiny.drain(engine)
    steps = [event for event in events if isinstance(event, Step)]
    assert [(one.step, one.steps) for one in steps] == [(k, MADE) for k in range(1, MADE + 1)]
    assert {one.step for one in events if isinstance(one, Intermediate)} == set(range(1, MADE + 1))
    assert len(calls) == pass_calls(order.request)
    plain = order.request.model_copy(update={"intermediates": None})
    cost = price(plain, backend.models["epsilon"].card).step_megapixels
    assert cost == pytest.approx(len(calls) * 64 * 64 / 1e6)
    assert any(isinstance(event, Done) for event in events)


@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.UNIPC, Sampler.HEUN, Sampler.PNDM])
def test_it_goes_on_from_a_checkpoint_at_any_call(backend: Diffusion, sampler: Sampler) -> None:
    order = cut("job", "epsilon", sampler, Spacing.DEFAULT)
    whole = begun(backend, order)
    expected = drawn(backend, begun(backend, order))
    for calls in range(pass_calls(order.request) + 1):
        late = begun(backend, order)
        assert checkpoint.resume(late, checkpoint.save(whole, ""), "")
        assert torch.equal(drawn(backend, late), expected), calls
        if whole.calls_left:
            backend.advance([whole], whole.rows)


def test_a_checkpoint_of_another_end_is_another_picture(backend: Diffusion) -> None:
    order = cut("job", "epsilon", Sampler.EULER, Spacing.DEFAULT)
    other = cut("job", "epsilon", Sampler.EULER, Spacing.DEFAULT, denoise_end=1.0)
    assert not checkpoint.resume(
        begun(backend, other), checkpoint.save(begun(backend, order), ""), ""
    )


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("sampler", Sampler)
def test_a_start_from_a_picture_is_that_of_the_same_strength(
    engine: Engine, sampler: Sampler, has_mask: bool
) -> None:
    by_strength, by_start = (
        from_picture(
            "job", "sd1-epsilon", sampler, has_mask=has_mask, num_inference_steps=8,
            determinism="strict", **fields,
        )
        for fields in ({"strength": 0.5}, {"strength": None, "denoise_start": 0.5})
    )  # fmt: skip
    expected = oracle.alone(engine, by_strength)
    assert torch.equal(oracle.alone(engine, by_start), expected)


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("sampler", [one for one in Sampler if one not in NOT_INPAINTED_AS_STOCK])
def test_from_a_picture_an_early_end_leaves_what_stock_leaves(
    engine: Engine, reference: Stock, sampler: Sampler, has_mask: bool
) -> None:
    order = from_picture(
        "job", "sd1-epsilon", sampler, has_mask=has_mask, num_inference_steps=8,
        strength=0.5, denoise_end=0.75,
    )  # fmt: skip
    assert error(oracle.alone(engine, order), order, reference) <= 1


@pytest.mark.parametrize("has_mask", [False, True])
def test_so_it_does_with_sdxl(engine: Engine, reference: Stock, has_mask: bool) -> None:
    order = from_picture(
        "job", "sdxl-epsilon", Sampler.EULER_A, has_mask=has_mask, num_inference_steps=8,
        strength=0.5, denoise_end=0.75,
    )  # fmt: skip
    assert error(oracle.alone(engine, order), order, reference) <= 1


def test_a_start_and_an_end_leave_what_is_between(engine: Engine) -> None:
    order = from_picture(
        "job", "sd1-epsilon", Sampler.EULER, num_inference_steps=8, strength=None,
        denoise_start=0.25, denoise_end=0.75,
    )  # fmt: skip
    engine.submit(order)
    steps = [event.step for event in tiny.drain(engine) if isinstance(event, Step)]
    assert steps == [3, 4, 5, 6]
