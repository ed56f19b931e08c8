import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.samples import Sample, ladder, latency, misses_allowed, pace, percentile, rate
from benchmarks.load.traces import Mix

WISH = Mix((10,)).first(1)[0]
LONG = Mix((20,)).first(1)[0]


def sample(sent_s: float, ended_s: float | None) -> Sample:
    return Sample(WISH, sent_s, ended_s)


@given(st.lists(st.floats(0, 1e3), min_size=1), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_the_least_value_that_its_share_does_not_exceed(
    values: list[float], q: float
) -> None:
    found = percentile(values, q)
    assert found in values
    assert sum(value <= found for value in values) >= q * len(values) - 1e-6
    assert sum(value < found for value in values) < q * len(values)


@given(st.lists(st.floats(0.1, 1e3), min_size=1, max_size=200), st.sampled_from([0.5, 0.99]))
def test_when_all_have_finished_latency_is_the_plain_percentile(
    values: list[float], q: float
) -> None:
    found = latency([sample(0.0, value) for value in values], 1e4, q)
    assert not found.at_least
    assert found.value == percentile(values, q)


def test_requests_still_under_way_count_as_at_least_their_age() -> None:
    # Nine were served in a second; eleven have been waiting for eight when the trial ends.
    served = [sample(0.0, 1.0)] * 9
    stuck = [sample(2.0, None)] * 11
    assert latency(served + stuck, 10.0, 0.5).value == 8.0
    assert latency(served + stuck, 10.0, 0.5).at_least
    assert str(latency(served + stuck, 10.0, 0.5)) == ">8.00"


def test_requests_that_have_only_just_come_say_nothing_about_latency() -> None:
    served = [sample(0.0, float(second)) for second in range(1, 11)]
    fresh = [sample(99.9, None)] * 50
    assert latency(served + fresh, 100.0, 0.5) == latency(served, 100.0, 0.5)


def test_the_latency_of_nobody_is_unknown() -> None:
    assert math.isnan(latency([], 1.0, 0.5).value)


def test_a_rate_runs_from_the_end_of_one_burst_to_the_end_of_another() -> None:
    # Four pictures together every two seconds: two a second, wherever the window is cut.
    bursts = [sample(0.0, 2.0 * burst + 0.001 * one) for burst in range(1, 8) for one in range(4)]
    for since in (0.0, 1.0, 2.5, 3.9):
        found = rate(bursts, since, 14.5, callers=16)
        assert found.images == pytest.approx(2.0, rel=1e-3)
        assert found.steps == pytest.approx(20.0, rel=1e-3)
        assert found.row_steps == pytest.approx(40.0, rel=1e-3)


def test_no_window_cuts_a_wave_that_lasts_a_few_steps() -> None:
    # Sixteen every four seconds, over the first second of them; the last wave may be under way.
    bursts = [sample(0.0, 4.0 * burst + one / 16) for burst in range(1, 5) for one in range(16)]
    for since in (0.0, 4.5, 5.5):
        for until in (16.1, 16.9, 17.3, 19.0):
            seen = [one for one in bursts if (one.ended_s or 0) <= until]
            assert rate(seen, since, until, callers=16).images == pytest.approx(4.0)


def test_a_first_burst_that_was_drawn_before_the_window_is_not_counted() -> None:
    # As LitServe did: sixteen after a long time, then seven, then twelve.
    times = [5.9] * 16 + [7.5] * 7 + [10.0] * 12
    found = rate([sample(0.0, at) for at in times], 2.0, 12.0, callers=16)
    assert found.images == pytest.approx(19 / 4.1)


def test_part_of_a_wave_gives_no_rate() -> None:
    wave = [sample(0.0, 10.0 + 0.3 * (one // 3)) for one in range(12)]
    assert math.isnan(rate(wave, 2.0, 12.0, callers=16).images)


def test_no_window_cuts_waves_of_fewer_pictures_than_callers() -> None:
    # Fifteen every eight seconds, three at a time; nowhere are sixteen between two ends.
    times = [8.0 * wave + 0.3 * (one // 3) for wave in range(1, 4) for one in range(15)]
    for until in (36.0, 60.0):
        found = rate([sample(0.0, at) for at in times], 0.0, until, callers=16)
        assert found.images == pytest.approx(15 / 8)


def test_a_burst_that_may_go_on_after_the_window_is_not_counted() -> None:
    times = [1.0] * 16 + [5.0] * 16 + [9.0] * 3
    found = rate([sample(0.0, at) for at in times], 0.0, 9.01, callers=16)
    assert found.images == pytest.approx(4.0)
    times = [1.0] * 9 + [5.0] * 17 + [9.0] * 3
    found = rate([sample(0.0, at) for at in times], 0.0, 9.01, callers=16)
    assert found.images == pytest.approx(17 / 4)


def test_one_burst_is_no_rate() -> None:
    assert math.isnan(rate([sample(0.0, 1.0)] * 4, 0.0, 10.0, callers=16).images)


def test_pace_compares_the_times_of_the_same_pictures() -> None:
    ours = [sample(0.0, 0.5 * number) for number in range(1, 21)]
    theirs = [sample(100.0, 100.0 + 0.8 * number) for number in range(1, 12)]
    assert pace(ours, theirs, 1.0) == pytest.approx(1.6)
    assert pace(theirs, ours, 1.0) == pytest.approx(1 / 1.6)
    slower = [Sample(LONG, one.sent_s, one.ended_s) for one in theirs]  # twice the steps each
    assert pace(ours, slower, 1.0) == pytest.approx(0.8)
    assert math.isnan(pace(ours, theirs[:2], 1.0))


@pytest.mark.parametrize(("count", "allowed"), [(1, 0), (99, 0), (100, 1), (199, 1), (200, 2)])
def test_one_in_a_hundred_may_be_late(count: int, allowed: int) -> None:
    assert misses_allowed(count) == allowed


@given(st.floats(0.1, 10), st.floats(1.01, 20), st.floats(1.05, 2))
def test_a_ladder_reaches_from_end_to_end_in_even_rungs(
    low: float, span: float, ratio: float
) -> None:
    rungs = ladder(low, low * span, ratio)
    assert rungs[0] == pytest.approx(low)
    assert rungs[-1] == pytest.approx(low * span)
    assert all(1 < later / rung <= ratio + 1e-9 for rung, later in pairwise(rungs))
