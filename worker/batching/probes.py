"""When to try a larger call than the best one known: it may not be as bad as we think."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from worker.batching.costs import Costs
from worker.batching.key import BatchKey

_SOON: Final = 16  # calls
_SELDOM: Final = 256
_SHARE: Final = 0.01  # of the time in calls, which all probes together may add
_MOST_SIZES: Final = 64


@dataclass(slots=True)
class _Size:
    """The calls of one size: how many until the next probe, and the best one at the last."""

    left: int = _SOON
    gap: int = _SOON
    cap: int = 0


class Probes:
    """Soon at first, then half as often each time that nothing came of it.

    One measured badly, when everything on the machine was starting, would be believed for ever.
    """

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._sizes: OrderedDict[BatchKey, _Size] = OrderedDict()
        self._calls_s = 0.0
        self._added_s = 0.0

    def next(self, key: BatchKey, rows: int) -> int:
        """The rows that a call which needs so many should have: seldom more."""
        size = self._sizes.setdefault(key, _Size())
        self._sizes.move_to_end(key)
        if len(self._sizes) > _MOST_SIZES:  # callers choose the sizes
            self._sizes.popitem(last=False)
        call_s = self._costs.seconds(key, rows)
        self._calls_s += call_s
        size.left -= 1
        probe = self._costs.probe(key) if size.left <= 0 else None
        if probe is None or probe <= rows:
            return rows
        added_s = self._costs.seconds(key, probe) - call_s
        if self._added_s + added_s > _SHARE * self._calls_s:
            return rows
        self._added_s += added_s
        cap = self._costs.cap(key)
        size.gap = _SOON if cap > size.cap else min(2 * size.gap, _SELDOM)
        size.left, size.cap = size.gap, cap
        return probe
