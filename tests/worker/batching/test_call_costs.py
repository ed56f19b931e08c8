"""What calls cost, and how large they should be."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.batching import BatchKey, Costs

KEY = BatchKey("model", 8, 8, 1)
seconds = st.floats(1e-4, 10, allow_nan=False)


def measured(curve: dict[int, float], **limits: float) -> Costs:
    costs = Costs(**{"max_rows": 32, "max_slowdown": 100, **limits})
    for rows, s in curve.items():
        for _ in range(4):
            costs.observe(KEY, rows, s)
    return costs


def line(own_s: float, row_s: float) -> dict[int, float]:
    return {rows: own_s + row_s * rows for rows in (2, 4, 8, 12, 16, 24, 32)}


def test_between_measurements_it_is_a_line() -> None:
    costs = measured({2: 1.0, 4: 3.0})
    assert [costs.seconds(KEY, rows) for rows in (1, 2, 3, 4)] == [1.0, 1.0, 2.0, 3.0]


def test_the_first_call_of_a_shape_does_not_count() -> None:
    costs = Costs()
    costs.observe(KEY, 2, 60.0)  # it was compiled
    costs.observe(KEY, 2, 0.02)
    assert costs.seconds(KEY, 2) == pytest.approx(0.02)


def test_one_hiccup_moves_a_curve_little() -> None:
    costs = measured({2: 1.0})
    costs.observe(KEY, 2, 2.0)
    assert costs.seconds(KEY, 2) == pytest.approx(1.1)


def test_a_faster_measurement_is_taken_over_soon() -> None:
    costs = measured({2: 8.0})  # measured under other load
    for _ in range(8):
        costs.observe(KEY, 2, 1.0)
    assert costs.seconds(KEY, 2) < 1.1


def test_one_bad_measurement_is_looked_into_again() -> None:
    costs = measured(line(1.0, 0.01) | {16: 90.0, 24: 90.0, 32: 90.0}, max_slowdown=4)
    assert costs.cap(KEY) < 16
    for _ in range(30):
        if (rows := costs.probe(KEY)) is not None:
            costs.observe(KEY, rows, line(1.0, 0.01)[rows])
    assert costs.cap(KEY) == 32


def test_sizes_that_callers_choose_do_not_fill_the_memory() -> None:
    costs = Costs()
    for height in range(1, 500):
        for _ in range(2):
            costs.observe(BatchKey("model", height, 8, 1), 2, 1.0)
    assert len(costs.to_json()) == 64
    assert costs.seconds(BatchKey("model", 1, 8, 1), 2) > 0


def test_sizes_of_the_background_do_not_replace_what_is_known_of_unet_calls() -> None:
    """A control has calls of several kinds, each of its own size."""
    costs = measured({2: 1.0})
    beside = BatchKey("control/preprocessors", 8, 8, 0, 1, background=True, operation="rows")
    for height in range(1, 500):
        costs.observe(replace(beside, height=height), 1, 0.01)
    assert costs.seconds(KEY, 2) == 1.0
    for height in range(1, 500):
        costs.observe(replace(KEY, height=height), 2, 1.0)
    assert costs.cheapest(replace(beside, height=499)) is not None


def test_memory_that_ran_out_for_reused_features_is_remembered_too() -> None:
    costs = measured(line(1.0, 0.0))
    reusing = BatchKey("model", 8, 8, 1, interval=3)
    costs.bound(reusing, 8)
    assert costs.cap(reusing) == 8


def test_calibration_makes_no_call_longer_than_the_latency_target() -> None:
    costs = Costs(max_slowdown=4)
    for _ in range(4):
        costs.observe(KEY, 2, 5.0)
        costs.observe(KEY, 4, 10.0)
        costs.observe(KEY, 8, 20.0)
    assert costs.unmeasured(KEY) is None


def test_a_device_without_memory_for_one_image_is_calibrated_no_further() -> None:
    costs = Costs()
    costs.bound(KEY, 1)
    assert costs.unmeasured(KEY) is None
    assert costs.cap(KEY) == 2


def test_where_rows_cost_nothing_a_call_grows_as_far_as_it_may() -> None:
    assert measured(line(1.0, 0.0)).cap(KEY) == 32
    assert measured(line(1.0, 0.0), max_rows=12).cap(KEY) == 12


def test_where_rows_cost_everything_an_image_goes_alone() -> None:
    assert measured(line(0.0, 1.0)).cap(KEY) == 2


def test_a_call_is_never_longer_than_the_latency_target_allows() -> None:
    costs = measured(line(1.0, 0.5), max_slowdown=3)
    assert costs.seconds(KEY, costs.cap(KEY)) <= 3 * costs.seconds(KEY, 2)
    assert costs.cap(KEY) == 10


def test_little_gain_is_not_worth_a_long_call() -> None:
    """Seconds of a call and of each row, on an H100 by performance.md."""
    sdxl, sd15 = line(0.0079, 0.0192), line(0.0106, 0.00228)  # at 1024² compiled, at 512²
    assert measured(sdxl, max_slowdown=6).cap(KEY) == 14
    assert measured(sdxl).cap(KEY) in (20, 21), "50 times 7.9 / 19.2"
    assert measured(line(0.001, 0.0192)).cap(KEY) in (2, 3)
    assert measured(sd15).cap(KEY) == 32


@given(seconds, seconds, st.floats(1, 10))
def test_the_cap_never_serves_fewer_images_a_second_than_one_at_a_time(
    own_s: float, row_s: float, slowdown: float
) -> None:
    costs = measured(line(own_s, row_s), max_slowdown=slowdown)
    cap = costs.cap(KEY)
    rate, alone = cap / costs.seconds(KEY, cap), 2 / costs.seconds(KEY, 2)
    assert rate >= alone * (1 - 1e-9)


def test_a_size_never_measured_is_judged_by_the_nearest() -> None:
    costs = measured(line(1.0, 0.5))
    large = BatchKey("model", 16, 16, 1)
    assert costs.seconds(large, 2) == pytest.approx(1.0 + 0.5 * 8)
    assert costs.cap(large) < costs.cap(KEY)


def test_a_size_that_was_measured_is_judged_by_itself_and_not_by_its_like() -> None:
    costs = measured(line(1.0, 0.5))
    lying = BatchKey("model", 4, 16, 1)
    for _ in range(2):
        costs.observe(lying, 2, 7.0)
    assert costs.seconds(KEY, 2) == pytest.approx(2.0)
    assert costs.seconds(lying, 2) == pytest.approx(7.0)


def test_a_model_never_measured_has_a_cap_all_the_same() -> None:
    assert 2 <= Costs().cap(BatchKey("new", 64, 64, 1)) <= 32


def test_larger_calls_than_were_measured_get_tried() -> None:
    assert measured({2: 1.0, 4: 1.1}).cap(KEY) > 4


def test_memory_that_ran_out_is_remembered() -> None:
    costs = measured(line(1.0, 0.0))
    costs.bound(KEY, 8)
    assert costs.cap(KEY) == 8
    assert costs.unmeasured(KEY) is None


def test_a_bucket_is_what_it_is() -> None:
    strict = BatchKey("model", 8, 8, 1, bucket=12)
    costs = measured(line(1.0, 1.0))
    assert costs.cap(strict) == 12
    assert costs.seconds(strict, 2) == pytest.approx(13.0)


def test_calibration_goes_from_small_to_large() -> None:
    costs, seen = Costs(max_rows=12), []
    costs.observe(KEY, 2, 0.01)  # the model's test
    while (rows := costs.unmeasured(KEY)) is not None:
        seen.append(rows)
        costs.observe(KEY, rows, 0.01)
    assert seen == [2] * 3 + [4] * 4 + [8] * 4 + [12] * 4


def test_nothing_is_calibrated_of_which_no_call_is_known() -> None:
    costs = Costs()
    assert costs.unmeasured(KEY) is None
    costs.observe(BatchKey("model", 4, 4, 1), 2, 0.001)
    assert costs.unmeasured(KEY) == 2, "16 times as long at most"
    assert costs.unmeasured(BatchKey("model", 64, 64, 1)) is None, "65 s at most"
    assert costs.unmeasured(BatchKey("other", 8, 8, 1)) is None


def test_a_first_call_is_taken_to_be_longer_than_the_next_one() -> None:
    costs = Costs()
    costs.observe(KEY, 2, 0.09)
    for _ in range(3):
        costs.observe(KEY, 2, 0.02)
    assert costs.unmeasured(KEY) is None, "0.04 s, and 0.07 s because it is the first"


def test_a_call_has_at_most_twice_the_rows_of_any_before() -> None:
    costs, most = Costs(), []
    for _ in range(6):
        most.append(costs.cap(KEY))
        costs.observe(KEY, costs.cap(KEY) if len(most) > 1 else 2, 1.0)
    assert most[1:] == [4, 8, 16, 32, 32]


def test_a_kind_never_called_starts_like_another_models() -> None:
    costs = measured(line(1.0, 0.5))
    assert costs.seconds(BatchKey("twin", 8, 8, 1), 2) == costs.seconds(KEY, 2)
    assert costs.cheapest(BatchKey("twin", 8, 8, 1)) is None, "but that is no measurement"


def test_curves_survive_as_json() -> None:
    before = measured({2: 1.0, 4: 3.0})
    after = Costs()
    after.from_json(json.loads(json.dumps(before.to_json())))
    assert after.seconds(KEY, 3) == before.seconds(KEY, 3) == 2.0


@pytest.mark.parametrize(
    "curve",
    [{}, {"seconds": 3}, {"model": "m", "height": 8, "width": 8, "chunks": 1, "seconds": {}},
     {"model": "m", "height": 8, "width": 8, "chunks": 1, "seconds": {"2": math.nan}},
     {"model": "m", "height": 8, "width": 8, "chunks": 1, "seconds": {"two": 1}},
     {"model": "m", "height": 0, "width": 8, "chunks": 1, "seconds": {"2": 1}},
     {"model": "m", "height": 8, "width": 8, "chunks": 1, "seconds": {"0": 1}},
     {"model": "m", "other": 8, "seconds": {"2": 1}}],
)  # fmt: skip
def test_an_invalid_curve_is_refused(curve: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"positive|not a list of curves|invalid literal"):
        Costs().from_json([curve])


def test_a_small_call_made_only_once_is_not_taken_to_be_as_long_as_a_larger_one() -> None:
    costs = Costs()
    costs.observe(KEY, 2, 1.0)  # the model's test
    for _ in range(3):
        costs.observe(KEY, 4, 4.0)
    assert costs.cap(KEY) == 2


def test_rows_that_were_tried_and_do_not_fit_leave_what_was_best_before() -> None:
    costs = measured({2: 1.0, 4: 1.1, 8: 1.2, 12: 90.0})
    assert (costs.cap(KEY), costs.retreat(KEY, 8)) == (8, 4)
    costs.try_out(KEY, 12)
    assert (costs.cap(KEY), costs.retreat(KEY, 12)) == (12, 8)
    costs.bound(KEY, 8)
    assert costs.cap(KEY) == 8


def test_frames_of_clips_count_as_rows() -> None:
    clip = BatchKey("model", 8 * 8, 8, 1, frames=8)
    free = {2: 1.0, 4: 1.0, 8: 1.0, 16: 1.0}  # the more rows the better
    costs = Costs(max_rows=32, max_slowdown=100)
    for rows, s in free.items():
        for _ in range(4):
            costs.observe(clip, rows, s)
    assert costs.cap(clip) == 32 // 8
    longer = BatchKey("model", 32 * 8, 8, 1, frames=32)
    assert costs.cap(longer) == 2, "a clip always has a call"


def test_clips_are_costed_by_clips() -> None:
    """The motion module's layers take time that no picture's call shows."""
    costs = measured({2: 0.1, 16: 0.8})
    clip = BatchKey("model", 4 * 8, 8, 1, frames=4)
    assert costs.seconds(clip, 2) == pytest.approx(0.4), "by the area, while none was drawn"
    for _ in range(4):
        costs.observe(BatchKey("model", 8 * 8, 8, 1, frames=8), 2, 2.0)
    assert costs.seconds(clip, 2) == pytest.approx(2.0), "then by the nearest clip"
