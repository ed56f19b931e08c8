"""When to try a larger call than the best one known: it may not be as bad as we think."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from worker.batching.call_costs import LONE_ROWS, Costs
from worker.batching.key import BatchKey

_SOON: Final = 8  # calls
_SELDOM: Final = 256
_SHARE: Final = 0.01  # of the time in calls; where probes have added more, the next one waits
_MOST_SIZES: Final = 64


@dataclass(slots=True)
class _Size:
    """The calls of one size: how many until the next probe, and the best one at the last."""

    left: int = _SOON
    gap: int = _SOON
    cap: int = 0
    trying: tuple[int, float] | None = None  # rows, and the seconds of the call without it


class Probes:
    """Soon whenever the best call is another one, then half as often each time nothing came of it.

    One measured badly, when everything on the machine was starting, would be believed for ever.
    So a call of twice the rows is never taken to last more than twice as long, whatever we
    believe: it is tried once that much may be spent. What it really added is counted by the clock,
    and if it was more, the next probe waits until that is paid. One that finds a better call is
    paid by it.
    """

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._sizes: OrderedDict[BatchKey, _Size] = OrderedDict()
        self._calls_s = 0.0
        self._added_s = 0.0

    def next(self, key: BatchKey, rows: int) -> int:
        """The rows that a call which needs so many should have: seldom more.

        Only one as large as is best by now: where fewer come, nobody would gain by a larger one.
        """
        size = self._sizes.setdefault(key, _Size())
        self._sizes.move_to_end(key)
        if len(self._sizes) > _MOST_SIZES:  # callers choose the sizes
            self._sizes.popitem(last=False)
        cap = self._costs.cap(key)
        if cap != size.cap:
            size.cap, size.gap, size.left = cap, _SOON, min(size.left, _SOON)
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
        size.left, size.gap = size.gap, min(2 * size.gap, _SELDOM)
        size.trying = probe, call_s
        return probe

    def ended(self, key: BatchKey, rows: int, seconds: float) -> None:
        """A call is over that the costs took in."""
        self._calls_s += seconds
        size = self._sizes.get(key)
        if size is None or size.trying is None or size.trying[0] != rows:
            return
        if self._costs.cap(key) < rows:
            self._added_s += max(0.0, seconds - size.trying[1])
        size.trying = None
