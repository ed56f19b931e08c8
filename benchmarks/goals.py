"""The goals on two CPU cores, and whether a run met them. Every bound is a ratio."""

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Run = Mapping[str, Any]
OURS: Final = {"engine", "service", "compiled"}


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure of a run and its bound: a lower one, or an upper one with `at_most`."""

    text: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps its bound; NaN does not."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def row_cost_limit(run: Run) -> float:
    """Seconds per row of the stock pipeline's call of two rows, over the engine's best call's."""
    stock, engine = run["unet_s"]["stock"], run["unet_s"]["engine"]
    best_s = min(float(seconds) / int(rows) for rows, seconds in engine.items())
    return float(stock["2"]) / 2 / best_s


def goals(run: Run) -> Iterator[Goal]:
    """Every goal, computed from this run alone."""
    closed, goodput = run["closed"], run["goodput"]
    steps = {who: cell["image_steps_per_s"] for who, cell in closed["steps"].items()}
    rows = {trace: cell["engine"]["row_steps_per_s"] for trace, cell in closed.items()}
    calm = goodput["engine"]["tried"][0]
    yield Goal(
        "share of the row-cost limit that the engine reaches over stock, trace steps",
        steps["engine"] / steps["stock"] / row_cost_limit(run),
        0.85,
    )
    yield Goal("engine over dynamic batching, trace steps", steps["engine"] / steps["dynamic"], 1.1)
    yield Goal(
        "goodput of the engine over dynamic batching's, trace steps",
        _over(goodput["engine"]["images_per_s"], goodput["dynamic"]["images_per_s"]),
        1.6,
    )
    service = statistics.median(closed["steps"]["service"]["each_over_engine"])
    yield Goal("service over engine, trace steps", service, 0.9)
    yield Goal(
        "row-steps of the engine, full at one size over uniform",
        rows["full, one size"] / rows["uniform"],
        0.85,
    )
    waits = [closed["steps"]["engine"], calm]
    for text, cell in zip(("closed loop", "0.2 of capacity"), waits, strict=True):
        if cell["requests_with_room"]:
            yield Goal(
                f"p99 wait to first step while a row is free, in steps, {text}",
                cell["wait_p99_steps_with_room"],
                1.5,
                at_most=True,
            )
    yield Goal(
        "strict over fast at saturation, engine, trace steps",
        rows["steps, strict"] / rows["steps"],
        0.9,
    )
    yield from _ahead(closed)


def _ahead(closed: Run) -> Iterator[Goal]:
    """The service compared with every other server: rate and latency on every trace."""
    for trace, cells in closed.items():
        for us in ("service", "compiled"):
            for them in [name for name in cells if us in cells and name not in OURS]:
                yield from _beside(us, cells[us], them, cells[them], trace)


def _beside(us: str, ours: Run, them: str, theirs: Run, trace: str) -> Iterator[Goal]:
    how = "" if us == "service" else ", compiled,"
    ratio = ours["images_per_s"] / theirs["images_per_s"]
    yield Goal(f"the service{how} over {them}, {trace}, images/s", ratio, 1.0)
    for q in ("p50_s", "p99_s"):
        # Theirs may be a lower bound, which favours them; ours may not.
        value = math.nan if ours[f"{q}_at_least"] else ours[q] / theirs[q]
        yield Goal(
            f"latency of the service{how} over {them}'s, {trace}, {q[:3]}", value, 1.0, at_most=True
        )


def _over(ours: float, theirs: float) -> float:
    """The ratio; infinite where only theirs is zero."""
    return ours / theirs if theirs else (math.inf if ours else math.nan)
