"""The figures of a contender's trials."""

import pytest

from benchmarks.load.cells import cell, latencies, waits
from benchmarks.load.loops import Trial
from benchmarks.load.samples import Sample
from benchmarks.load.traces import Mix

WISH = Mix((10,)).first(1)[0]


def trial(begin_s: float, pause_s: float) -> Trial:
    """Four pictures together every so many seconds, and one that is not done at the end."""
    ends = [begin_s + pause_s * burst for burst in range(1, 6) for _ in range(4)]
    done = [Sample(WISH, at - pause_s, at, wait_steps=1.0, had_room=True) for at in ends]
    unfinished = Sample(WISH, ends[-1])
    counted = {"calls": 10, "rows": 80, "useful_rows": 60, "call_s": 3.0, "step_s": 4.0}
    return Trial(begin_s, ends[-1] + 0.5, [*done, unfinished], counted)


def test_rates_are_the_medians_of_all_trials() -> None:
    trials = [trial(0.0, 1.0), trial(100.0, 2.0), trial(200.0, 4.0)]
    found = cell(trials, 0.0, callers=4)
    assert found["images_per_s"] == pytest.approx(2.0)
    assert found["image_steps_per_s"] == pytest.approx(20.0)
    assert found["each_image_steps_per_s"] == pytest.approx([40.0, 20.0, 10.0])
    assert found["row_steps_per_s"] == pytest.approx(40.0)


def test_rows_are_counted_over_all_trials() -> None:
    found = cell([trial(0.0, 1.0), trial(100.0, 1.0)], 0.0, callers=4)
    assert found["rows_per_step"] == 6.0
    assert found["padding_share"] == 0.25
    assert found["unet_share_of_loop"] == 0.75


def test_latencies_do_not_depend_on_when_a_trial_began() -> None:
    early, late = latencies([trial(0.0, 1.0)]), latencies([trial(1e4, 1.0)])
    assert early == pytest.approx(late)
    assert early["p50_s"] == pytest.approx(1.0)
    assert not early["p50_s_at_least"]


def test_waits_are_left_out_where_a_contender_does_not_report_them() -> None:
    silent = Trial(0.0, 2.0, [Sample(WISH, 0.0, 1.0)])
    assert waits([silent]) == {}
    assert waits([silent, trial(0.0, 1.0)])["requests_with_room"] == 20
