"""How long UNet calls take by their rows, measured while serving, and the best number of rows."""

import math
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from worker.batching.key import BatchKey

# Other load on the machine makes calls slower, never faster: a faster call is believed at once.
_FASTER, _SLOWER = 1.0, 0.1
# A call two thirds longer must bring one percent more images a second.
_GAIN: Final = 0.02
_NOMINAL_S: Final = 0.05  # of a call of LONE_ROWS, where nothing was measured yet
LONE_ROWS: Final = 2  # an image with guidance
_SIZES: Final = (2, 4, 8, 12, 16, 24, 32, 48, 64)
_ENOUGH: Final = 3  # measurements of one kind of call
_MOST_CURVES: Final = 64


@dataclass(slots=True)
class Curve:
    """Seconds of a call by its rows, linear between measurements.

    Beyond the largest it has the slope from the first to the last. From a single one, half its
    time is taken to grow with rows and half to be the call's own: low enough that a larger call is
    tried, and measured.
    """

    measured: dict[int, float] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)

    def observe(self, rows: int, seconds: float) -> None:
        """Take in one call."""
        known = self.measured.get(rows, seconds)
        weight = _FASTER if seconds < known else _SLOWER
        self.measured[rows] = known + weight * (seconds - known)
        self.counts[rows] += 1

    def seconds(self, rows: float) -> float:
        """The estimate for a call of so many rows."""
        known = sorted(self.measured)
        at = bisect_left(known, rows)
        if at == len(known):
            first, last = known[0], known[-1]
            rise = self.measured[last] - self.measured[first]
            slope = rise / (last - first) if rise else self.measured[last] / last / 2
            return self.measured[last] + max(0.0, slope) * (rows - last)
        if known[at] == rows or at == 0:
            # Fewer rows than ever measured count as the fewest measured: too long, never too short.
            return self.measured[known[at]]
        low, high = known[at - 1], known[at]
        share = (rows - low) / (high - low)
        return self.measured[low] * (1 - share) + self.measured[high] * share


class Costs:
    """A curve for each kind of call (`BatchKey.cost_key`), and the best number of rows by it."""

    def __init__(self, *, max_rows: int = 32, max_slowdown: float = 6.0) -> None:
        self.max_rows = max_rows
        self.max_slowdown = max_slowdown
        self._curves: OrderedDict[BatchKey, Curve] = OrderedDict()
        self._warmed_up: set[tuple[BatchKey, int]] = set()
        self._memory: dict[BatchKey, int] = {}
        self._caps: dict[BatchKey, int] = {}

    def observe(self, key: BatchKey, rows: int, seconds: float) -> bool:
        """Take in one call; False if it does not count, as the first of each shape, a warm-up."""
        if (key.cost_key, rows) not in self._warmed_up:
            self._warmed_up.add((key.cost_key, rows))
            return False
        self._curves.setdefault(key.cost_key, Curve()).observe(rows, seconds)
        self._curves.move_to_end(key.cost_key)
        if len(self._curves) > _MOST_CURVES:  # callers choose the sizes
            forgotten, _ = self._curves.popitem(last=False)
            self._warmed_up = {one for one in self._warmed_up if one[0] != forgotten}
        self._caps.clear()
        return True

    def bound(self, key: BatchKey, rows: int) -> None:
        """Calls of more rows than these ran out of memory or failed: never form one again."""
        self._memory[key.cost_key] = rows
        self._caps.clear()

    def seconds(self, key: BatchKey, rows: int) -> float:
        """How long a call of so many rows takes, by this size's curve or the nearest size's."""
        return self._seconds_by_rows(key)(key.bucket or rows)

    def cap(self, key: BatchKey) -> int:
        """The rows of the best call: most images a second, a shorter call preferred.

        It takes at most `max_slowdown` times as long as a single image's call, and has at most
        `max_rows` rows, or as many as fit into memory.
        """
        if key.bucket:
            return key.bucket
        if key not in self._caps:
            self._caps[key] = self._best(key)
        return self._caps[key]

    def cheapest(self, key: BatchKey) -> tuple[int, float] | None:
        """Rows and seconds of the measured call with most rows a second, or None.

        Only of sizes that the policy forms: larger calls may be cheaper, but delay all images.
        """
        curve, cap = self._curves.get(key.cost_key, Curve()), self.cap(key)
        seen = [(rows, s) for rows, s in curve.measured.items() if rows <= cap]
        return min(seen, key=lambda one: one[1] / one[0]) if seen else None

    def unmeasured(self, key: BatchKey) -> int | None:
        """The smallest allowed number of rows that was not measured often enough, or None."""
        curve = self._curves.get(key.cost_key, Curve())
        longest = self.max_slowdown * self.seconds(key, LONE_ROWS)
        for rows in _SIZES:
            if rows > self._most(key) or (rows > LONE_ROWS and self.seconds(key, rows) > longest):
                return None
            if curve.counts[rows] < _ENOUGH:
                return rows
        return None

    def probe(self, key: BatchKey) -> int | None:
        """The next number of rows above the best, which may have been measured too slow."""
        larger = [rows for rows in _SIZES if self.cap(key) < rows <= self._most(key)]
        return larger[0] if larger and not key.is_strict else None

    def _most(self, key: BatchKey) -> int:
        return min(self.max_rows, self._memory.get(key.cost_key, self.max_rows))

    def _best(self, key: BatchKey) -> int:
        seconds = self._seconds_by_rows(key)
        longest = self.max_slowdown * seconds(LONE_ROWS)
        choices = {
            rows: seconds(rows) for rows in range(LONE_ROWS, max(LONE_ROWS, self._most(key)) + 1)
        }
        fitting = {rows: s for rows, s in choices.items() if s <= longest or rows == LONE_ROWS}
        return max(fitting, key=lambda rows: rows / fitting[rows] ** (1 + _GAIN))

    def _seconds_by_rows(self, key: BatchKey) -> Callable[[int], float]:
        """The curve of this size, or of the nearest: work grows linearly with rows and area."""
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
        """The curves as JSON-able data."""
        return [
            asdict(key) | {"seconds": {str(rows): s for rows, s in curve.measured.items()}}
            for key, curve in self._curves.items()
        ]

    def from_json(self, curves: Iterable[Mapping[str, Any]]) -> None:
        """Take over curves of `to_json`. Raises ValueError if they are none."""
        try:
            self._curves.update(map(_curve, curves))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not a list of curves") from error
        self._caps.clear()


def _curve(data: Mapping[str, Any]) -> tuple[BatchKey, Curve]:
    fields = dict(data)
    measured = {int(rows): float(s) for rows, s in fields.pop("seconds").items()}
    adapters = tuple(map(str, fields.pop("adapters", ())))  # JSON has no tuples
    key = BatchKey(**fields, adapters=adapters)
    numbers = [key.height, key.width, *measured, *measured.values()]
    if not measured or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise ValueError("sizes, rows and seconds must be positive")
    return key, Curve(measured, Counter(dict.fromkeys(measured, _ENOUGH)))
