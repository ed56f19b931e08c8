"""The figures of a contender's trials, as a result file has them: one cell of the table."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.load import samples
from benchmarks.load.loops import Trial
from benchmarks.load.samples import Sample

Cell = dict[str, Any]


def cell(trials: Sequence[Trial], warm_s: float, *, callers: int) -> Cell:
    """The figures of one contender on one trace; rates are medians of its trials."""
    rates = [
        samples.rate(trial.samples, trial.begin_s + warm_s, trial.end_s, callers=callers)
        for trial in trials
    ]
    return {
        "images_per_s": statistics.median(rate.images for rate in rates),
        "image_steps_per_s": statistics.median(rate.steps for rate in rates),
        "row_steps_per_s": statistics.median(rate.row_steps for rate in rates),
        "each_image_steps_per_s": [rate.steps for rate in rates],
        **latencies(trials),
        **waits(trials),
        **_rows(trials),
    }


def latencies(trials: Sequence[Trial]) -> Cell:
    """Percentiles over all trials, including requests that were unfinished at the end."""
    found = {}
    for name, q in (("p50_s", 0.5), ("p99_s", 0.99)):
        # Trials end at different times, so move the end of each to zero.
        shifted = [
            _ending_at_zero(sample, trial.end_s) for trial in trials for sample in trial.samples
        ]
        percentile = samples.latency(shifted, 0.0, q)
        found[name] = percentile.value
        found[f"{name}_at_least"] = percentile.at_least
    return found


def _ending_at_zero(sample: Sample, end_s: float) -> Sample:
    """The same sample with its trial's end at time zero."""
    ended_s = None if sample.ended_s is None else sample.ended_s - end_s
    return replace(sample, sent_s=sample.sent_s - end_s, ended_s=ended_s)


def waits(trials: Sequence[Trial]) -> Cell:
    """Percentiles of the wait for the first step, where the contender reports it."""
    every = [s for trial in trials for s in trial.samples if s.wait_steps is not None]
    roomy = [s.wait_steps for s in every if s.had_room and s.wait_steps is not None]
    if not every:
        return {}
    return {
        "wait_p50_steps": samples.percentile([s.wait_steps or 0.0 for s in every], 0.5),
        "wait_p99_steps": samples.percentile([s.wait_steps or 0.0 for s in every], 0.99),
        "wait_p99_steps_with_room": samples.percentile(roomy, 0.99),
        "requests_with_room": len(roomy),
    }


def _rows(trials: Sequence[Trial]) -> Cell:
    counted = [trial.counted for trial in trials if trial.counted.get("calls")]
    if not counted:
        return {}
    calls, rows, useful = (
        sum(each[name] for each in counted) for name in ("calls", "rows", "useful_rows")
    )
    busy = sum(each["call_s"] for each in counted) / sum(each["step_s"] for each in counted)
    return {
        "rows_per_step": useful / calls,
        "padding_share": 1 - useful / rows,
        "unet_share_of_loop": busy,
    }
