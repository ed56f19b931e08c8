"""The goals of trace *loras*, what its calls' costs allow, and its report."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from benchmarks.goals import Goal
from benchmarks.load.interval import Interval
from benchmarks.tables import number, table

# The engine with a LoRA of eight for each image, in calls that are as they come and in calls of
# equal LoRAs; without any; with one for all. And stock pipelines, one image at a time.
EACH, GROUPED, NONE, ONE_FOR_ALL, STOCK = "each", "grouped", "none", "one for all", "stock"
ENGINES: Final = (EACH, GROUPED, NONE, ONE_FOR_ALL)

OVER_GROUPED: Final = "row-steps a second, eight LoRAs in one call over grouping by adapter"
OVER_NONE: Final = "row-steps a second, eight LoRAs over none"
ONE_OVER_NONE: Final = "row-steps a second, one LoRA for all over none"
OVER_STOCK: Final = "row-steps a second, eight LoRAs over stock one at a time"
GOALS: Final = {OVER_GROUPED: 1.4, OVER_NONE: 0.7, ONE_OVER_NONE: 0.9, OVER_STOCK: 2.0}
PAIRS: Final = {
    OVER_GROUPED: (EACH, GROUPED),
    OVER_NONE: (EACH, NONE),
    ONE_OVER_NONE: (ONE_FOR_ALL, NONE),
}


def goals(run: Mapping[str, Any]) -> list[Goal]:
    """Every goal, computed from this run alone."""
    return [
        Goal(text, Interval.of(run["each"][text]).ratio, bound) for text, bound in GOALS.items()
    ]


def allowed(run: Mapping[str, Any]) -> dict[str, float]:
    """What each ratio would be if the UNet's calls were all: seconds per row over seconds per row.

    Each with as many rows as the calls of that contender had.
    """
    row_s = {name: _row_s(run["unet_s"][name], run["rows"][name]) for name in ENGINES}
    return {text: row_s[theirs] / row_s[ours] for text, (ours, theirs) in PAIRS.items()}


def _row_s(seconds: Mapping[str, float], rows: float) -> float:
    """Seconds of a row in a call of so many; between measured sizes, calls are linear."""
    sizes = sorted(seconds, key=int)
    call_s = np.interp(rows, [int(size) for size in sizes], [seconds[size] for size in sizes])
    return float(call_s) / rows


def report(run: Mapping[str, Any]) -> list[str]:
    """The ratios with their intervals, goals and bounds, and the calls' costs, in lines."""
    bounds, rows = allowed(run), []
    for goal in goals(run):
        interval = Interval.of(run["each"][goal.text])
        rows.append(
            [
                goal.text,
                f"≥ {goal.bound:g}",
                number(goal.value),
                f"{interval.low:.3f} to {interval.high:.3f}",
                number(bounds[goal.text]) if goal.text in bounds else "",
                "met" if goal.is_met else "**not met**",
            ]
        )
    return [
        f"{run['at']}, {run['machine']}, torch {run['torch']} with {run['threads']} threads, "
        f"all in {run['dtype']}, commit {run['commit']}, {run['took_s'] / 60:.1f} minutes; "
        f"{len(run['each'][OVER_GROUPED])} rounds, geometric means. Stock: {run['stock']}.",
        "",
        *table(["goal", "bound", "here", "95 % interval", "the calls allow", ""], rows),
        "A UNet call of the engine, ms per row, and how many rows its calls had in the rounds:",
        "",
        *_calls(run),
    ]


def _calls(run: Mapping[str, Any]) -> list[str]:
    sizes = list(run["unet_s"][NONE])
    return table(
        ["rows", *sizes, "rows of a call"],
        [
            [
                name,
                *(_ms_per_row(run["unet_s"][name], size) for size in sizes),
                number(run["rows"][name], 1),
            ]
            for name in ENGINES
        ],
    )


def _ms_per_row(seconds: Mapping[str, float], size: str) -> str:
    return number(1e3 * seconds[size] / int(size), 1) if size in seconds else ""
