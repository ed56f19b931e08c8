"""How long UNet calls take by their rows, measured while serving, and the best number of rows."""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from latentry.contracts import Seamless
from worker.batching.curve import Curve
from worker.batching.key import BatchKey

# A call two thirds longer must bring one percent more images a second.
_GAIN: Final = 0.02
_NOMINAL_S: Final = 0.05  # of a call of LONE_ROWS, where nothing was measured yet
LONE_ROWS: Final = 2  # an image with guidance
_SIZES: Final = (2, 4, 8, 12, 16, 24, 32, 48, 64)
_ENOUGH: Final = 3  # measurements of one kind of call
_MOST_CURVES: Final = 64  # of UNet calls, and as many of the background's
# A call may have this many times the rows of the largest that was made: how long it takes is then
# known well enough, and four calls lead from 2 rows to 32.
_GROWTH: Final = 2
# What callers may wait for a call, or a part of one, that none of them asked for.
_UNASKED_S: Final = 0.1
_UNASKED_SHARE: Final = 0.1  # of a call of LONE_ROWS, where that is more


class Costs:
    """A curve for each kind of call (`BatchKey.cost_key`), and the best number of rows by it."""

    def __init__(self, *, max_rows: int = 32, max_slowdown: float = 6.0) -> None:
        self.max_rows = max_rows
        self.max_slowdown = max_slowdown
        self._curves: OrderedDict[BatchKey, Curve] = OrderedDict()
        self._memory: dict[BatchKey, int] = {}
        self._tried: dict[BatchKey, tuple[int, int]] = {}  # the best rows, and more to be tried
        self._caps: dict[BatchKey, int] = {}

    def observe(self, key: BatchKey, rows: int, seconds: float) -> bool:
        """Take in one call; False if it does not count, as the first of each shape, a warm-up."""
        counts = self._curves.setdefault(key.cost_key, Curve()).observe(rows, seconds)
        self._curves.move_to_end(key.cost_key)
        alike = [one for one in self._curves if one.background == key.background]
        if len(alike) > _MOST_CURVES:  # callers choose the sizes
            del self._curves[alike[0]]
            self._tried.pop(alike[0], None)
        if counts and rows > self._tried.get(key.cost_key, (rows, rows))[0]:
            del self._tried[key.cost_key]
        self._caps.clear()
        return counts

    def bound(self, key: BatchKey, rows: int) -> None:
        """Calls of more rows than these ran out of memory or failed: never form one again."""
        self._memory[key.cost_key] = rows
        self._tried.pop(key.cost_key, None)
        self._caps.clear()

    def forget(self, model: str) -> None:
        """The calls of this model are of another one from now on."""
        for known in (self._curves, self._memory, self._tried, self._caps):
            for key in [one for one in known if one.model == model]:
                del known[key]

    def retreat(self, key: BatchKey, rows: int) -> int:
        """How many rows may fit where so many did not: half, or the best before more were tried."""
        best, _ = self._tried.get(key.cost_key, (rows // 2, 0))
        return best

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
            _, tried = self._tried.get(key.cost_key, (0, 0))
            self._caps[key] = min(tried, self._most(key)) or self._best(key)
        return self._caps[key]

    def cheapest(self, key: BatchKey) -> tuple[int, float] | None:
        """Rows and seconds of the measured call with most rows a second.

        Only of sizes that the policy forms: larger calls may be cheaper, but delay all images.
        Without one, the estimate for a single image; None if the model made no call so far.
        """
        curve, cap = self._curves.get(key.cost_key, Curve()), self.cap(key)
        seen = [(rows, s) for rows, s in curve.measured.items() if rows <= cap]
        if seen:
            return min(seen, key=lambda one: one[1] / one[0])
        own = key.model, key.operation
        was_called = any((one.model, one.operation) == own for one in self._curves)
        return (LONE_ROWS, self.seconds(key, LONE_ROWS)) if was_called else None

    def unasked_s(self, key: BatchKey) -> float:
        """How long callers may wait for what none of them asked for."""
        return max(_UNASKED_S, _UNASKED_SHARE * self.seconds(key, LONE_ROWS))

    def unmeasured(self, key: BatchKey) -> int | None:
        """The smallest number of rows that was not measured often enough, or None.

        Only of calls that an idle engine may make: a request that comes just then waits for one.
        """
        curve = self._curves.get(key.cost_key, Curve())
        longest = self.max_slowdown * self.seconds(key, LONE_ROWS)
        for rows in _SIZES:
            if rows > self._most(key) or (rows > LONE_ROWS and self.seconds(key, rows) > longest):
                return None
            if self._longest(key, rows) > self.unasked_s(key):
                return None
            if curve.counts[rows] < _ENOUGH:
                return rows
        return None

    def probe(self, key: BatchKey) -> int | None:
        """The next number of rows above the best, which may have been measured too slow."""
        larger = [rows for rows in _SIZES if self.cap(key) < rows <= self._most(key)]
        return larger[0] if larger and not key.is_strict else None

    def try_out(self, key: BatchKey, rows: int) -> None:
        """Let so many rows pass for the best until a larger call than the best was measured."""
        self._tried[key.cost_key] = self.cap(key), rows
        self._caps.clear()

    def _most(self, key: BatchKey) -> int:
        most = max(LONE_ROWS, self.max_rows // key.frames)  # each frame is a row of the UNet's
        return min(most, self._memory.get(key.cost_key, most))

    def _best(self, key: BatchKey) -> int:
        seconds = self._seconds_by_rows(key)
        longest = self.max_slowdown * seconds(LONE_ROWS)
        most = max(LONE_ROWS, min(self._most(key), self._most_tried(key)))
        choices = {rows: seconds(rows) for rows in range(LONE_ROWS, most + 1)}
        fitting = {rows: s for rows, s in choices.items() if s <= longest or rows == LONE_ROWS}
        return max(fitting, key=lambda rows: rows / fitting[rows] ** (1 + _GAIN))

    def _most_tried(self, key: BatchKey) -> int:
        """How many rows a call may have so as not to be much larger than any before."""
        near = self._nearest(key)
        if near is None:
            return self._most(key)
        return int(_GROWTH * self._curves[near].most_called * near.area / key.area)

    def _seconds_by_rows(self, key: BatchKey) -> Callable[[int], float]:
        """The curve of this size, or of the nearest: work grows linearly with rows and area."""
        near = self._nearest(key)
        if near is None:
            return lambda rows: _NOMINAL_S * (1 + rows / LONE_ROWS) / 2
        seconds, ratio = self._curves[near].by_rows(), key.area / near.area
        return lambda rows: seconds(rows * ratio)

    def _nearest(self, key: BatchKey) -> BatchKey | None:
        """The kind of call that is most like this one, if any was ever made: of its model first.

        Those of the background are like those of their own tool that do the same, and no others.
        """
        if (known := key.cost_key) in self._curves:
            return known
        own = (key.model, key.operation) if key.background else None
        alike = [
            one
            for one in self._curves
            if one.background == key.background and own in (None, (one.model, one.operation))
        ]

        def distance(one: BatchKey) -> tuple[bool, bool, bool, bool, float]:
            unlike = (
                one.shallow != key.shallow,
                (one.frames > 1) != (key.frames > 1),
                one.is_strict != key.is_strict or one.seamless != key.cost_key.seamless,
            )
            return one.model != key.model, *unlike, abs(math.log(one.area / key.area))

        return min(alike, key=distance, default=None)

    def _longest(self, key: BatchKey, rows: int) -> float:
        """What a call takes at most, by those that differ in size only; infinity without any.

        Attention grows with the square of the area.
        """
        return min(
            (
                curve.longest(rows) * max(1.0, key.area / one.area) ** 2
                for one, curve in self._curves.items()
                if replace(one, height=key.height, width=key.width) == key.cost_key
            ),
            default=math.inf,
        )

    def to_json(self) -> list[dict[str, Any]]:
        """The curves as JSON-able data."""
        return [
            asdict(key)
            | {"seconds": _by_text(curve.measured), "first": _by_text(curve.first_calls)}
            for key, curve in self._curves.items()
            if curve.measured
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
    measured = _by_number(fields.pop("seconds"))
    once = _by_number(fields.pop("first", {}))
    adapters = tuple(map(str, fields.pop("adapters", ())))  # JSON has no tuples
    seamless = Seamless(fields.pop("seamless", Seamless.NONE))
    key = BatchKey(**fields, adapters=adapters, seamless=seamless)
    numbers = [key.height, key.width, *measured, *measured.values(), *once, *once.values()]
    if not measured or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise ValueError("sizes, rows and seconds must be positive")
    return key, Curve(measured, Counter(dict.fromkeys(measured, _ENOUGH)), once=once)


def _by_text(seconds: Mapping[int, float]) -> dict[str, float]:
    return {str(rows): s for rows, s in seconds.items()}


def _by_number(seconds: Mapping[str, Any]) -> dict[int, float]:
    return {int(rows): float(s) for rows, s in seconds.items()}
