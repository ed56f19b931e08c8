"""The goals of trace *modes*, and its report."""

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.goals import Goal
from benchmarks.load import samples
from benchmarks.load.interval import Interval
from benchmarks.tables import number, table

ROW_STEPS: Final = "row-steps a second of the engine, modes over uniform"
PICTURES: Final = "pictures a second, the engine over stock pipelines one at a time, modes"
GOALS: Final = {ROW_STEPS: 0.9, PICTURES: 2.2}
WAITS: Final = "p99 wait to first step while a row is free, in steps, modes"


def goals(run: Mapping[str, Any]) -> list[Goal]:
    """Every goal, computed from this run alone."""
    found = [
        Goal(text, Interval.of(run["each"][text]).ratio, bound) for text, bound in GOALS.items()
    ]
    waits = run["each"][WAITS]
    return [*found, *([Goal(WAITS, samples.percentile(waits, 0.99), 1.5, True)] if waits else [])]


def report(run: Mapping[str, Any]) -> list[str]:
    """The ratios with their intervals and goals, in lines."""
    rows = []
    for goal in goals(run):
        span = ""
        if goal.text in GOALS:
            interval = Interval.of(run["each"][goal.text])
            span = f"{interval.low:.3f} to {interval.high:.3f}"
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:g}"
        rows.append(
            [goal.text, bound, number(goal.value), span, "met" if goal.is_met else "**not met**"]
        )
    rounds = len(run["each"][ROW_STEPS])
    return [
        f"{run['at']}, {run['machine']}, torch {run['torch']} with {run['threads']} threads, "
        f"all in {run['dtype']}, commit {run['commit']}, {run['took_s'] / 60:.1f} minutes; "
        f"{rounds} rounds, geometric means:",
        "",
        *table(["goal", "bound", "here", "95 % interval", ""], rows),
    ]
