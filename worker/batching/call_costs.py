"""What a UNet call costs by its rows: measured while serving, and how large a call should be."""

import math
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from worker.batching.key import BatchKey

# Neighbours on the machine make calls slower, never faster: what is faster is believed at once.
_FASTER, _SLOWER = 1.0, 0.1
# A call two thirds longer must bring one percent more images a second.
_GAIN: Final = 0.02
# Where nothing was measured yet.
_NOMINAL_S: Final = 0.05
LONE_ROWS: Final = 2  # an image with guidance
_SIZES: Final = (2, 4, 8, 12, 16, 24, 32, 48, 64)
_ENOUGH: Final = 3  # measurements of one kind of call
_MOST_CURVES: Final = 64


@dataclass(slots=True)
class Curve:
    """Seconds of a call by its rows. Between measurements it is a line.

    Beyond them it goes on as from the first to the last. With one alone, half of it is taken to be
    the rows' and half the call's own: little enough that a larger call gets tried, and measured.
    """

    measured: dict[int, float] = field(default_factory=dict)
    times: Counter[int] = field(default_factory=Counter)

    def observe(self, rows: int, seconds: float) -> None:
        """Take in one call."""
        known = self.measured.get(rows, seconds)
        weight = _FASTER if seconds < known else _SLOWER
        self.measured[rows] = known + weight * (seconds - known)
        self.times[rows] += 1

    def seconds(self, rows: float) -> float:
        """What a call of so many rows takes."""
        known = sorted(self.measured)
        at = bisect_left(known, rows)
        if at == len(known):
            first, last = known[0], known[-1]
            rise = self.measured[last] - self.measured[first]
            slope = rise / (last - first) if rise else self.measured[last] / last / 2
            return self.measured[last] + max(0.0, slope) * (rows - last)
        if known[at] == rows or at == 0:
            # Fewer rows than were ever measured take as long as the fewest: seldom true, never low.
            return self.measured[known[at]]
        low, high = known[at - 1], known[at]
        share = (rows - low) / (high - low)
        return self.measured[low] * (1 - share) + self.measured[high] * share


class Costs:
    """The curves of every (model, latent size, chunks), and the best number of rows by them."""

    def __init__(self, *, max_rows: int = 32, max_slowdown: float = 6.0) -> None:
        self.max_rows = max_rows
        self.max_slowdown = max_slowdown
        self._curves: OrderedDict[BatchKey, Curve] = OrderedDict()
        self._prepared: set[tuple[BatchKey, int]] = set()
        self._memory: dict[BatchKey, int] = {}
        self._caps: dict[BatchKey, int] = {}

    def observe(self, key: BatchKey, rows: int, seconds: float) -> bool:
        """Take in one call. The first of a shape counts not: it pays for its preparation.

        Answers whether it counted.
        """
        if (key.priced, rows) not in self._prepared:
            self._prepared.add((key.priced, rows))
            return False
        self._curves.setdefault(key.priced, Curve()).observe(rows, seconds)
        self._curves.move_to_end(key.priced)
        if len(self._curves) > _MOST_CURVES:  # callers choose the sizes
            forgotten, _ = self._curves.popitem(last=False)
            self._prepared = {one for one in self._prepared if one[0] != forgotten}
        self._caps.clear()
        return True

    def bound(self, key: BatchKey, rows: int) -> None:
        """Calls of more rows do not fit into the memory, or fail: from now on so many at most."""
        self._memory[key.priced] = rows
        self._caps.clear()

    def seconds(self, key: BatchKey, rows: int) -> float:
        """What a call of so many rows takes, by this size's curve or the nearest size's."""
        return self._line(key)(key.bucket or rows)

    def cap(self, key: BatchKey) -> int:
        """The rows of a call that serves best: most images a second, for its length.

        Never longer than `max_slowdown` lone calls, nor more than `max_rows` or the memory holds.
        """
        if key.bucket:
            return key.bucket
        if key not in self._caps:
            self._caps[key] = self._best(key)
        return self._caps[key]

    def cheapest(self, key: BatchKey) -> tuple[int, float] | None:
        """Rows and seconds of the call that was seen to draw most a second, or None.

        Of those that the policy forms: larger ones may be cheaper still, and make all wait.
        """
        curve, cap = self._curves.get(key.priced, Curve()), self.cap(key)
        seen = [(rows, s) for rows, s in curve.measured.items() if rows <= cap]
        return min(seen, key=lambda one: one[1] / one[0]) if seen else None

    def unmeasured(self, key: BatchKey) -> int | None:
        """The fewest rows that a call may have and that were not measured often enough."""
        curve = self._curves.get(key.priced, Curve())
        longest = self.max_slowdown * self.seconds(key, LONE_ROWS)
        for rows in _SIZES:
            if rows > self._most(key) or (rows > LONE_ROWS and self.seconds(key, rows) > longest):
                return None
            if curve.times[rows] < _ENOUGH:
                return rows
        return None

    def probe(self, key: BatchKey) -> int | None:
        """The next size of call above the best, to see whether it is still as bad as we think."""
        larger = [rows for rows in _SIZES if self.cap(key) < rows <= self._most(key)]
        return larger[0] if larger and not key.is_strict else None

    def _most(self, key: BatchKey) -> int:
        return min(self.max_rows, self._memory.get(key.priced, self.max_rows))

    def _best(self, key: BatchKey) -> int:
        line = self._line(key)
        longest = self.max_slowdown * line(LONE_ROWS)
        choices = {
            rows: line(rows) for rows in range(LONE_ROWS, max(LONE_ROWS, self._most(key)) + 1)
        }
        fitting = {rows: s for rows, s in choices.items() if s <= longest or rows == LONE_ROWS}
        return max(fitting, key=lambda rows: rows / fitting[rows] ** (1 + _GAIN))

    def _line(self, key: BatchKey) -> Callable[[int], float]:
        """Seconds by rows. Work is linear in rows, and nearly so in area."""
        known = [one for one in self._curves if one.model == key.model]
        if not known:
            return lambda rows: _NOMINAL_S * (1 + rows / LONE_ROWS) / 2

        def distance(one: BatchKey) -> tuple[bool, bool, float]:
            unlike = one.shallow != key.shallow, one.is_strict != key.is_strict
            return *unlike, abs(math.log(one.area / key.area))

        near = min(known, key=distance)
        curve, ratio = self._curves[near], key.area / near.area
        return lambda rows: curve.seconds(rows * ratio)

    def to_json(self) -> list[dict[str, Any]]:
        """The curves as plain data."""
        return [
            asdict(key) | {"seconds": {str(rows): s for rows, s in curve.measured.items()}}
            for key, curve in self._curves.items()
        ]

    def from_json(self, curves: Iterable[Mapping[str, Any]]) -> None:
        """Take over curves measured earlier. Raises ValueError."""
        try:
            self._curves.update(map(_curve, curves))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not a list of curves") from error


def _curve(data: Mapping[str, Any]) -> tuple[BatchKey, Curve]:
    fields = dict(data)
    measured = {int(rows): float(s) for rows, s in fields.pop("seconds").items()}
    key = BatchKey(**fields)
    numbers = [key.height, key.width, *measured, *measured.values()]
    if not measured or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise ValueError("sizes, rows and seconds must be positive")
    return key, Curve(measured, Counter(dict.fromkeys(measured, _ENOUGH)))
