"""How long one kind of UNet call takes by its rows."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

# Other load on the machine makes calls slower, never faster: a faster call is believed at once.
_FASTER, _SLOWER = 1.0, 0.1


@dataclass(slots=True)
class Curve:
    """Seconds of a call by its rows, linear between measurements.

    Beyond the largest it has the slope from the first to the last. From a single one, half its
    time is taken to grow with rows and half to be the call's own: low enough that a larger call is
    tried, and measured. `first`: the first call of each number of rows, which is no measurement:
    memory is laid out and kernels are chosen. It stands in where it is all that there is: without
    any measurement, or with fewer rows than were measured, if it was faster even so. `once`: first
    calls of an earlier process, which this one has yet to make.
    """

    measured: dict[int, float] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    first: dict[int, float] = field(default_factory=dict)
    once: dict[int, float] = field(default_factory=dict)

    def observe(self, rows: int, seconds: float) -> bool:
        """Take in one call; False if it is the first of so many rows."""
        if rows not in self.first:
            self.first[rows] = seconds
            return False
        known = self.measured.get(rows, seconds)
        weight = _FASTER if seconds < known else _SLOWER
        self.measured[rows] = known + weight * (seconds - known)
        self.counts[rows] += 1
        return True

    @property
    def first_calls(self) -> dict[int, float]:
        """Seconds of the first calls, of this process or else of an earlier one."""
        return self.once | self.first

    @property
    def most_called(self) -> int:
        """The most rows that a call ever had."""
        return max(self.first.keys() | self.measured.keys())

    def seconds(self, rows: float) -> float:
        """The estimate for a call of so many rows."""
        return self.by_rows()(rows)

    def by_rows(self) -> Callable[[float], float]:
        """The estimates for calls of any numbers of rows, by what is known now."""
        times = self._known()
        known = sorted(times)

        def seconds(rows: float) -> float:
            at = bisect_left(known, rows)
            if at == len(known):
                first, last = known[0], known[-1]
                rise = times[last] - times[first]
                slope = rise / (last - first) if rise else times[last] / last / 2
                return times[last] + max(0.0, slope) * (rows - last)
            if known[at] == rows or at == 0:
                # Fewer than ever measured count as the fewest measured: too long, never too short.
                return times[known[at]]
            low, high = known[at - 1], known[at]
            share = (rows - low) / (high - low)
            return times[low] * (1 - share) + times[high] * share

        return seconds

    def _known(self) -> dict[int, float]:
        if not self.measured:
            return self.first
        least = min(self.measured)
        longest = self.measured[least]
        fewer = {n: s for n, s in self.first.items() if n < least and s < longest}
        return fewer | self.measured

    def longest(self, rows: int) -> float:
        """What a call of so many rows takes at most.

        No more than as many calls of fewer rows, and if it is the first of its kind, what another
        first call took longer than the calls after it.
        """
        is_first = rows not in self.first
        firsts = self.first_calls

        def from_calls_of(known: int) -> float:
            usual = self.measured.get(known, self.first.get(known, 0.0))
            extra = max(0.0, firsts.get(known, usual) - usual) if is_first else 0.0
            return usual * max(1.0, rows / known) + extra

        return min(map(from_calls_of, self.first.keys() | self.measured.keys()))
