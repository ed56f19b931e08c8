"""What was measured of each request, and the figures computed from that. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.load.traces import Wish

# The answers of one batch come within this time; those of two steps are further apart.
TOGETHER_S = 0.03


@dataclass(slots=True)
class Sample:
    """One request: when it was sent and when its picture came, None if it never did.

    wait_steps is the wait for its first UNet call, in durations of that call's step, and had_room
    whether rows were free when it arrived; None where the contender does not report them.
    """

    wish: Wish
    sent_s: float
    ended_s: float | None = None
    wait_steps: float | None = None
    had_room: bool | None = None

    @property
    def latency_s(self) -> float:
        """Seconds from request to picture; infinite if there is none."""
        return math.inf if self.ended_s is None else self.ended_s - self.sent_s


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile in seconds. `at_least`: too many were unfinished to say more than that."""

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

    Leaving those out would flatter slow contenders. The estimator of Kaplan and Meier (JASA 53,
    1958) counts them as long as they were observed.
    """
    ages = sorted(
        (s.latency_s, 0) if s.ended_s is not None else (end_s - s.sent_s, 1) for s in samples
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


def rate(samples: Sequence[Sample], since_s: float, until_s: float, *, callers: int) -> Rate:
    """Pictures and steps per second between `since_s` and `until_s`, over whole waves.

    A batch's pictures end together, so a window runs from the end of one burst to the end of
    another. Callers that were answered together also ask again together: pictures come in waves,
    and a window that cuts one gives a wrong rate. NaN where no window is found.
    """
    ended = sorted(
        (
            (s.ended_s, s.wish)
            for s in samples
            if s.ended_s is not None and since_s <= s.ended_s <= until_s
        ),
        key=lambda one: one[0],
    )
    times, wishes = [at for at, _ in ended], [wish for _, wish in ended]
    windows = _windows(times, until_s, callers)
    took_s = sum(times[last] - times[first] for first, last in windows)
    if not took_s:
        return Rate(math.nan, math.nan, math.nan)
    done = [wish for first, last in windows for wish in wishes[first + 1 : last + 1]]
    return Rate(
        images=len(done) / took_s,
        steps=sum(w.steps for w in done) / took_s,
        row_steps=sum(w.steps * w.rows for w in done) / took_s,
    )


def _windows(times: Sequence[float], until_s: float, callers: int) -> list[tuple[int, int]]:
    """Pairs of pictures, by index, between which whole waves have ended.

    With as many pictures as there are callers, or a multiple, a window has whole waves: all of the
    longest such windows. Otherwise the one from the first long pause, as between waves, to the
    last, if it has as many pictures as there are callers: a window within one wave would measure
    how fast a batch is answered.
    """
    later = [*times[1:], until_s]
    pauses = {n: later[n] - at for n, at in enumerate(times) if later[n] - at > TOGETHER_S}
    for length in range(len(times) // callers * callers, 0, -callers):
        if whole := [(first, first + length) for first in pauses if first + length in pauses]:
            return whole
    longest = max(
        (pause_s for n, pause_s in pauses.items() if n < len(times) - 1), default=math.inf
    )
    waves = [n for n, pause_s in pauses.items() if pause_s >= longest / 2]
    return [(waves[0], waves[-1])] if waves and waves[-1] - waves[0] >= callers else []


def pace(ours: Sequence[Sample], theirs: Sequence[Sample], warm_s: float) -> float:
    """Ratio of the image-steps per second of two trials of the same wishes in the same order.

    Measured between the same two pictures of both, not between two times: the same work is then
    under way at either end, so most of the chance in one trial is in the other too. Only pictures
    that both finished after `warm_s` count. NaN with fewer than two.
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
    """Seconds from the start of the trial to each picture, and its steps; in order of time."""
    begin_s = min(sample.sent_s for sample in trial)
    return sorted(
        (sample.ended_s - begin_s, sample.wish.steps)
        for sample in trial
        if sample.ended_s is not None
    )


def interpolate(single_s: Mapping[str, float], steps: int) -> float:
    """Seconds of a single request, linear in its steps between the fewest and the most measured."""
    low, high = int(min(single_s, key=int)), int(max(single_s, key=int))
    share = (steps - low) / (high - low)
    return single_s[str(low)] + share * (single_s[str(high)] - single_s[str(low)])


def misses_allowed(count: int, share: float = 0.99) -> int:
    """How many of `count` may be late when a share must be in time."""
    return count - math.ceil(share * count)


def ladder(lowest: float, highest: float, ratio: float) -> list[float]:
    """Rates from lowest to highest, each `ratio` times the one before at most."""
    rungs = math.ceil(math.log(highest / lowest) / math.log(ratio))
    return [lowest * (highest / lowest) ** (rung / rungs) for rung in range(rungs + 1)]
