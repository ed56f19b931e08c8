"""What a model's card says that pictures cost, against what they did cost."""

import random

import pytest

from tests.worker.engine import tiny
from worker.batching import Costs
from worker.batching.overhead import Overhead
from worker.engine.loop import Engine, Order
from worker.engine.simulated import Charge, Simulated

CHARGE = Charge(call_s=0.020, row_s=0.005, area=64, picture_s=0.020)


def studied() -> Engine:
    engine = Engine(Simulated({"epsilon": CHARGE}), Costs(max_slowdown=4))
    while engine.calibrate():
        pass
    return engine


def spent_s(engine: Engine) -> float:
    return engine.backend.now()


def predicted_s(engine: Engine, orders: list[Order]) -> float:
    """As admission counts: megapixels times calls, half as much without guidance."""
    pace = engine.paces()["epsilon"]
    return sum(
        order.megapixels
        * (
            order.request.num_inference_steps
            * (1 if order.request.guidance_scale > 1 else 0.5)
            * pace.step_megapixel_s
            + pace.image_megapixel_s
        )
        for order in orders
    )


def test_there_is_no_pace_before_anything_was_measured() -> None:
    backend = Simulated({"epsilon": CHARGE})
    backend.calls()  # nobody gets to know of its test
    assert Engine(backend, Costs()).paces() == {}


def test_the_test_of_a_model_is_enough_for_a_first_pace() -> None:
    pace = Engine(Simulated({"epsilon": CHARGE}), Costs()).paces()["epsilon"]
    assert pace.step_megapixel_s == pytest.approx((0.020 + 2 * 0.005) / 0.004096)


def test_a_model_too_slow_to_be_calibrated_has_a_pace_too() -> None:
    slow = Charge(call_s=1.0, row_s=2.0, area=64)
    engine = Engine(Simulated({"epsilon": slow}), Costs())
    assert not engine.calibrate()
    assert engine.paces()["epsilon"].step_megapixel_s == pytest.approx(5.0 / 0.004096)


def test_calibration_is_enough_for_a_pace_and_the_images_at_once() -> None:
    pace = studied().paces()["epsilon"]
    assert pace.images_at_once in (9, 10), "20 rows take four times as long as two"
    alone = (0.020 + 2 * 0.005) / 0.004096
    assert pace.step_megapixel_s < alone / 2


def test_a_full_workers_time_is_that_of_its_cards_pace() -> None:
    engine, dice = studied(), random.Random(7)
    for number in range(20):  # so that it knows what pictures cost apart from their calls
        engine.submit(tiny.order(f"first-{number}", num_inference_steps=10))
    tiny.drain(engine)
    before = spent_s(engine)
    orders = [
        tiny.order(
            f"job-{number}",
            num_inference_steps=dice.randint(5, 40),
            guidance_scale=dice.choice([1.0, 5.0, 5.0, 5.0]),
        )
        for number in range(200)
    ]
    for order in orders:
        engine.submit(order)
    predicted = predicted_s(engine, orders)
    tiny.drain(engine)
    assert predicted == pytest.approx(spent_s(engine) - before, rel=0.10)


def test_older_images_count_less_and_less() -> None:
    overhead = Overhead()
    for seconds in (*[1.0] * 500, *[3.0] * 500):
        overhead.add_step(step_s=seconds + 0.5, calls_s=0.5)
        overhead.add_image(0.5)
    assert overhead.image_megapixel_s == pytest.approx(6.0, rel=0.05)


def test_a_few_images_say_nothing_yet() -> None:
    overhead = Overhead()
    overhead.add_step(step_s=9.0, calls_s=0.0)
    overhead.add_image(1.0)
    assert overhead.image_megapixel_s == 0.0
