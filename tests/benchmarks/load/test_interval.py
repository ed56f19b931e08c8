"""A ratio with its interval, from one ratio per round."""

import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.load.interval import Interval

RATIOS = st.lists(st.floats(0.5, 2.0), min_size=2, max_size=20)


@given(RATIOS)
def test_it_is_students_interval_of_the_logarithms(ratios: list[float]) -> None:
    found, logarithms = Interval.of(ratios), [math.log(ratio) for ratio in ratios]
    assume(len(set(ratios)) > 1)  # scipy's has no width of zero
    mean, error = math.fsum(logarithms) / len(ratios), stats.sem(logarithms)
    low, high = stats.t.interval(0.95, len(ratios) - 1, mean, error)
    assert found.ratio == pytest.approx(math.exp(mean))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))


@given(RATIOS)
def test_which_side_is_the_new_one_makes_no_difference(ratios: list[float]) -> None:
    found, swapped = Interval.of(ratios), Interval.of([1 / ratio for ratio in ratios])
    assert swapped.ratio == pytest.approx(1 / found.ratio)
    assert (swapped.low, swapped.high) == pytest.approx((1 / found.high, 1 / found.low))


def test_about_95_of_100_intervals_hold_the_true_ratio() -> None:
    chance, held = random.Random(1), 0
    for _ in range(2000):
        found = Interval.of([math.exp(chance.gauss(math.log(1.1), 0.05)) for _ in range(8)])
        held += found.low <= 1.1 <= found.high
    assert 0.93 < held / 2000 < 0.97


def test_rounds_that_agree_leave_no_doubt() -> None:
    found = Interval.of([1.25] * 8)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.25, 1.25, 1.25))


@pytest.mark.parametrize("ratios", [[], [1.0], [1.0, math.nan], [1.0, math.inf], [1.0, 0.0]])
def test_without_two_ratios_there_is_no_interval(ratios: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two"):
        Interval.of(ratios)
