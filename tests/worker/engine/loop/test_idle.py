"""Nobody waits for long for a call that nobody asked for."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.engine import tiny
from worker.batching import LONE_ROWS, Costs
from worker.engine.loop import Engine
from worker.engine.simulated import Charge, Simulated, SimulatedTrajectory

SIDES = (32, 64, 96)


@dataclass(slots=True, eq=False)
class Recorded(Simulated):
    """A simulation that remembers how many seconds of each call were for rows of no image."""

    unasked: list[tuple[Any, float]] = field(default_factory=list)

    def advance(self, members: Sequence[SimulatedTrajectory], rows: int) -> None:
        key, charge = members[0].key, self.models[members[0].key.model]
        is_asked = members[0].order.job != "example"
        used = sum(member.rows for member in members) if is_asked else 0
        asked_s = charge.call(key, used) if is_asked else 0.0
        self.unasked.append((key, charge.call(key, rows) - asked_s))
        Simulated.advance(self, members, rows)


charges = st.builds(
    Charge,
    call_s=st.floats(0, 10),
    row_s=st.floats(1e-5, 10),
    area=st.just(64),
)
bursts = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(SIDES), st.sampled_from([1.0, 5.0])), max_size=6
)


@given(charges, charges, bursts)
def test_a_request_waits_for_no_call_that_nobody_asked_for(
    one: Charge, other: Charge, bursts: list[tuple[int, int, float]]
) -> None:
    backend = Recorded({"epsilon": one, "v_prediction": other})
    engine, names = Engine(backend, Costs()), itertools.count()
    models = itertools.cycle(backend.models)
    for images, side, guidance in [(0, 64, 1.0), *bursts]:
        for _ in range(20):  # idle for a while
            engine.calibrate()
        for _ in range(images):
            order = tiny.order(
                f"job-{next(names)}",
                model=next(models),
                width=side,
                height=side,
                guidance_scale=guidance,
                num_inference_steps=6,
            )
            engine.submit(order)
        tiny.drain(engine)
    for key, seconds in backend.unasked:
        lone_s = backend.models[key.model].call(key, LONE_ROWS)
        assert seconds <= max(0.1, 0.1 * lone_s) * (1 + 1e-9)


@pytest.mark.parametrize(("row_s", "calls"), [(0.0005, 15), (0.010, 11), (0.060, 0)])
def test_an_idle_engine_learns_what_takes_but_a_moment(row_s: float, calls: int) -> None:
    engine = Engine(Simulated({"epsilon": Charge(call_s=0.0, row_s=row_s, area=64)}), Costs())
    made = 0
    while engine.calibrate():
        made += 1
    assert made == calls


def test_a_model_too_slow_to_be_studied_shares_its_calls_all_the_same() -> None:
    charge = Charge(call_s=3.0, row_s=0.1, area=64)
    backend = Simulated({"epsilon": charge})
    engine = Engine(backend, Costs())
    assert not engine.calibrate()
    for number in range(16):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=25, seed=number))
    tiny.drain(engine)
    best_s = 25 * charge.call(backend.plan(tiny.order()).key, 32)
    assert backend.now() < 1.25 * best_s, "all in calls of 32 rows, after a few smaller ones"
