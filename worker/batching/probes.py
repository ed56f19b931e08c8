"""Now and then a call larger than the best known one: its measurement may have been too slow."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from worker.batching.call_costs import LONE_ROWS, Costs
from worker.batching.key import BatchKey

_FIRST_GAP: Final = 8  # calls until a probe
_LONGEST_GAP: Final = 256
_SHARE: Final = 0.01  # of the time in calls; where probes have added more, the next one waits
_MOST_SIZES: Final = 64


@dataclass(slots=True)
class _Size:
    """The calls of one key. `left`: until the next probe; `cap`: the best number of rows so far.

    `trying`: the rows of a probe, and the seconds of the call without it. `best_row_s`: while
    images are to fill a larger call, the seconds of a row in calls of the best size.
    """

    left: int = _FIRST_GAP
    gap: int = _FIRST_GAP
    cap: int = 0
    trying: tuple[int, float] | None = None
    best_row_s: float | None = None


class Probes:
    """Probes soon after the best call has changed, then half as often each time nothing is found.

    A call measured while the machine was busy would be avoided for ever. So a probe is budgeted
    as if twice the rows took at most twice as long, whatever was measured. The time that it really
    added is counted, and later probes wait until they are within their share of all call time
    again. A probe that finds a better call is free.

    A probe has rows that nobody asked for. Where callers would wait too long for those, more images
    may join instead, and the next call is larger if so many come.
    """

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._sizes: OrderedDict[BatchKey, _Size] = OrderedDict()
        self._calls_s = 0.0
        self._added_s = 0.0

    def next(self, key: BatchKey, rows: int) -> int:
        """How many rows to give a call that needs `rows`: as many, or seldom more as a probe.

        Only calls of the best size are probed: where fewer rows come, a larger one gains nothing.
        """
        size = self._sizes.setdefault(key, _Size())
        self._sizes.move_to_end(key)
        if len(self._sizes) > _MOST_SIZES:  # callers choose the sizes
            self._sizes.popitem(last=False)
        cap = self._costs.cap(key)
        if cap != size.cap and size.best_row_s is None:
            size.cap, size.gap, size.left = cap, _FIRST_GAP, min(size.left, _FIRST_GAP)
        if rows <= cap - LONE_ROWS:
            return rows
        size.left -= 1
        probe = self._costs.probe(key) if size.left <= 0 else None
        if probe is None or probe <= rows:
            return rows
        call_s = self._costs.seconds(key, rows)
        longest_s = min(self._costs.seconds(key, probe), call_s * probe / rows)
        if self._added_s + longest_s - call_s > _SHARE * self._calls_s:
            return rows
        size.left, size.gap = size.gap, min(2 * size.gap, _LONGEST_GAP)
        if call_s * (probe / rows - 1) > self._costs.unasked_s(key):
            self._costs.try_out(key, probe)
            size.best_row_s = call_s / rows
            return rows
        size.trying = probe, call_s
        return probe

    def ended(self, key: BatchKey, rows: int, seconds: float) -> None:
        """Take in a call that the costs have counted."""
        self._calls_s += seconds
        size = self._sizes.get(key)
        if size is None:
            return
        if size.best_row_s is not None and rows > size.cap:
            self._added_s += max(0.0, seconds - size.best_row_s * rows)
            size.best_row_s = None
        if size.trying is not None and size.trying[0] == rows:
            if self._costs.cap(key) < rows:
                self._added_s += max(0.0, seconds - size.trying[1])
            size.trying = None
