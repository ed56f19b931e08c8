"""What a trial saw of each request, and the figures that follow from it. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.traces import Wish

# Of the longest pause between two pictures: what is as long ends a burst.
PAUSE = 0.1


@dataclass(slots=True)
class Sample:
    """One request: when it was asked for, and when the picture was there, if it ever was.

    wait_steps is the wait for its first UNet call, in durations of that call's step, and had_room
    whether rows were free when it came; both where the contender can tell.
    """

    wish: Wish
    asked_s: float
    ended_s: float | None = None
    wait_steps: float | None = None
    had_room: bool | None = None

    @property
    def latency_s(self) -> float:
        """Seconds from asked to there; infinite if it never was."""
        return math.inf if self.ended_s is None else self.ended_s - self.asked_s


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile in seconds. `at_least`: so many were unfinished at the end that it is more."""

    value: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'>' if self.at_least else ''}{self.value:.2f}"


def percentile(values: Iterable[float], q: float) -> float:
    """The smallest value that a share q of all do not exceed; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else math.nan


def latency(samples: Sequence[Sample], end_s: float, q: float) -> Percentile:
    """Percentile of latency when the trial ended at `end_s` with requests still under way.

    Leaving those out would flatter the slow. Kaplan and Meier (JASA 53, 1958): of those that were
    still waiting at each age, the share that then finished.
    """
    ages = sorted(
        (s.latency_s, 0) if s.ended_s is not None else (end_s - s.asked_s, 1) for s in samples
    )
    waiting = 1.0
    for rank, (age, is_cut_off) in enumerate(ages):
        if not is_cut_off:
            waiting *= 1 - 1 / (len(ages) - rank)
            if waiting <= 1 - q + 1e-9:
                return Percentile(age)
    return Percentile(ages[-1][0] if ages else math.nan, at_least=True)


@dataclass(frozen=True, slots=True)
class Rate:
    """Work per second while a trial ran steadily."""

    images: float
    steps: float
    row_steps: float


def rate(samples: Sequence[Sample], since_s: float, until_s: float) -> Rate:
    """What was finished between two ends of bursts, the first after `since_s`.

    A batch is told at once, or within a few steps, so a window that cuts anywhere else counts work
    it did not see done.
    """
    ended = sorted((s for s in samples if s.ended_s is not None), key=lambda s: s.ended_s or 0)
    times = [s.ended_s or 0.0 for s in ended]
    pauses = {
        time: later - time
        for time, later in pairwise([*times, until_s])
        if since_s <= time <= until_s
    }
    long = PAUSE * max(pauses.values(), default=0.0)
    edges = [time for time, pause in pauses.items() if pause >= long > 0]
    if len(edges) < 2:
        return Rate(math.nan, math.nan, math.nan)
    done = [s.wish for s in ended if edges[0] < (s.ended_s or 0) <= edges[-1]]
    took_s = edges[-1] - edges[0]
    return Rate(
        images=len(done) / took_s,
        steps=sum(w.num_inference_steps for w in done) / took_s,
        row_steps=sum(w.num_inference_steps * w.rows for w in done) / took_s,
    )


def pace(ours: Sequence[Sample], theirs: Sequence[Sample], warm_s: float) -> float:
    """Image-steps a second over another's, where both were given the same wishes in the same order.

    Between two pictures by their number, not two times: what is under way at either end is then
    much alike, and most of the chance in one trial is in the other too. Both must be past `warm_s`.
    """
    both = [_ends(trial) for trial in (ours, theirs)]
    first = max(sum(at < warm_s for at, _ in ends) for ends in both)
    last = min(map(len, both)) - 1
    if last <= first:
        return math.nan
    our_speed, their_speed = (
        sum(steps for _, steps in ends[first + 1 : last + 1]) / (ends[last][0] - ends[first][0])
        for ends in both
    )
    return our_speed / their_speed


def _ends(trial: Sequence[Sample]) -> list[tuple[float, int]]:
    """When each picture was there, from the beginning of the trial, and its steps."""
    begin_s = min(sample.asked_s for sample in trial)
    return sorted(
        (sample.ended_s - begin_s, sample.wish.num_inference_steps)
        for sample in trial
        if sample.ended_s is not None
    )


def misses_allowed(count: int, share: float = 0.99) -> int:
    """How many of `count` may be late when a share must be in time."""
    return count - math.ceil(share * count)


def ladder(lowest: float, highest: float, ratio: float) -> list[float]:
    """Rates from lowest to highest, each `ratio` times the one before at most."""
    rungs = math.ceil(math.log(highest / lowest) / math.log(ratio))
    return [lowest * (highest / lowest) ** (rung / rungs) for rung in range(rungs + 1)]
