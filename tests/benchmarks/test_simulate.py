from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmarks
from benchmarks.load.traces import SAMPLERS, Mix, arrivals
from benchmarks.simulate import (
    CALLERS,
    Grouped,
    StepLevel,
    closed,
    keeps_up,
    mixes,
    read_costs,
    serial_s,
)
from worker.batching import BatchKey
from worker.engine.simulated import Charge

TABLES = read_costs(Path(benchmarks.__file__).with_name("costs.json"))
UNHURRIED = Charge(call_s=0.01, row_s=0.001, area=64 * 64, picture_s=0.02)

seconds = st.floats(0, 0.1).map(lambda s: round(s, 5))


@dataclass(frozen=True, slots=True)
class Steep(Charge):
    """Every row costs more than the one before."""

    power: float = 1.0

    def call(self, key: BatchKey, rows: int) -> float:
        return self.call_s + self.row_s * rows**self.power * key.area / self.area


rates = seconds.map(lambda s: s + 1e-4)
charges = st.builds(Charge, call_s=seconds, row_s=rates, area=st.just(64 * 64), picture_s=seconds)
traces = st.builds(
    Mix,
    steps=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    guidance=st.sampled_from([(1.0,), (5.0,), (1.0, 5.0)]),
    samplers=st.just(SAMPLERS[:2]),
    sides=st.lists(st.sampled_from([256, 384, 512, 768, 1024]), min_size=1, max_size=3),
)


@given(charge=charges, mix=traces, callers=st.integers(1, 24))
@settings(max_examples=25)
def test_the_policy_never_falls_behind_one_at_a_time(
    charge: Charge, mix: Mix, callers: int
) -> None:
    wishes = mix.first(24)
    took_s = closed(StepLevel(charge), wishes, callers)
    assert serial_s(charge, wishes) / took_s >= 0.97


# No device is worse: a probe takes twice the rows to cost twice as much at most, and 24 pictures
# are too few to pay for it where they cost eight times.
@given(row_s=rates, power=st.floats(1.2, 2), mix=traces, callers=st.integers(2, 24))
@settings(max_examples=15)
def test_images_with_guidance_run_apart_where_sharing_a_call_does_not_pay(
    row_s: float, power: float, mix: Mix, callers: int
) -> None:
    steep = Steep(call_s=0.0, row_s=row_s, area=64 * 64, power=power)
    # Not of so few steps that a single probe is a tenth of all calls.
    steps = [8 + steps for steps in mix.steps]
    wishes = replace(mix, steps=steps, guidance=(5.0,), sides=(512,)).first(24)
    server = StepLevel(steep)
    learnt_s = closed(server, wishes, callers=4)  # where calls are too long to be calibrated
    took_s = closed(server, wishes, callers) - learnt_s
    assert serial_s(steep, wishes) / took_s >= 0.97


@pytest.mark.parametrize("model", TABLES)
@pytest.mark.parametrize("trace", ["uniform", "steps", "full"])
def test_the_policy_never_falls_behind_for_any_model_of_the_table(model: str, trace: str) -> None:
    side, charge = TABLES[model]
    wishes = mixes(side)[trace].first(64)
    took_s = closed(StepLevel(charge), wishes, CALLERS)
    assert serial_s(charge, wishes) / took_s >= 0.97


def test_one_at_a_time_takes_the_sum_of_all() -> None:
    wishes = mixes(512)["full"].first(20)
    took_s = closed(Grouped(UNHURRIED, 1), wishes, 4)
    assert took_s == pytest.approx(serial_s(UNHURRIED, wishes))


def test_equal_requests_share_the_cost_of_a_call() -> None:
    # 30 steps of one call with 8 rows instead of four with 2, and four pictures.
    wishes = mixes(512)["uniform"].first(4)
    took_s = closed(Grouped(UNHURRIED, 8), wishes, 4)
    assert took_s == pytest.approx(30 * (0.01 + 8 * 0.001) + 4 * 0.02)


def test_a_server_keeps_up_with_a_trickle_and_not_with_a_flood() -> None:
    wishes = mixes(512)["steps"].first(60)
    alone_s = serial_s(UNHURRIED, wishes) / len(wishes)
    for server in (Grouped, StepLevel):
        make = (
            (lambda: Grouped(UNHURRIED, 1)) if server is Grouped else lambda: StepLevel(UNHURRIED)
        )
        assert keeps_up(make(), UNHURRIED, wishes, arrivals(0.1 / alone_s, 60))
        assert not keeps_up(make(), UNHURRIED, wishes, arrivals(50 / alone_s, 60))


def test_more_than_one_late_in_a_hundred_is_too_many() -> None:
    wishes = mixes(512)["uniform"].first(100)
    alone_s = serial_s(UNHURRIED, wishes) / len(wishes)
    # All come far apart but for some together: the sixth of those and later ones are late.
    for crowd, keeps in ((6, True), (7, False)):
        times = [max(0, number - crowd + 1) * 2 * alone_s for number in range(100)]
        assert keeps_up(Grouped(UNHURRIED, 1), UNHURRIED, wishes, times) is keeps
