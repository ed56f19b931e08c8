"""What a UNet call costs by its rows: measured while serving, and how large a call should be."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from worker.batching.key import BatchKey

# The newest of many measurements counts a fifth, so one hiccup does not change the batch.
_WEIGHT: Final = 0.2
# A call ten percent longer must bring one percent more images a second.
_GAIN: Final = 0.1
# Where nothing was measured yet.
_NOMINAL_S: Final = 0.05
LONE_ROWS: Final = 2  # an image with guidance


@dataclass(slots=True)
class Curve:
    """Seconds of a call by its rows. Between measurements it is a line.

    Beyond them it goes on as from the first to the last. With one alone, half of it is taken to be
    the rows' and half the call's own: little enough that a larger call gets tried, and measured.
    """

    measured: dict[int, float] = field(default_factory=dict)

    def observe(self, rows: int, seconds: float) -> None:
        """Take in one call."""
        known = self.measured.get(rows, seconds)
        self.measured[rows] = known + _WEIGHT * (seconds - known)

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

    def __init__(self, *, max_rows: int = 32, max_slowdown: float = 4.0) -> None:
        self.max_rows = max_rows
        self.max_slowdown = max_slowdown
        self._curves: dict[BatchKey, Curve] = {}
        self._prepared: set[tuple[BatchKey, int]] = set()
        self._memory: dict[BatchKey, int] = {}
        self._caps: dict[BatchKey, int] = {}

    def observe(self, key: BatchKey, rows: int, seconds: float) -> None:
        """Take in one call. The first of a shape counts not: it pays for its preparation."""
        if (key.priced, rows) not in self._prepared:
            self._prepared.add((key.priced, rows))
            return
        self._curves.setdefault(key.priced, Curve()).observe(rows, seconds)
        self._caps.clear()

    def forbid(self, key: BatchKey, rows: int) -> None:
        """A call of so many rows does not fit into the memory: from now on half of it."""
        self._memory[key.priced] = max(LONE_ROWS, rows // 2)
        self._caps.clear()

    def seconds(self, key: BatchKey, rows: int) -> float:
        """What a call of so many rows takes, by this size's curve or the nearest size's."""
        rows = key.bucket or rows
        known = [one for one in self._curves if one.model == key.model]
        if not known:
            return _NOMINAL_S * (1 + rows / LONE_ROWS) / 2
        near = min(
            known, key=lambda one: (one.shallow != key.shallow, abs(math.log(one.area / key.area)))
        )
        # Work is linear in rows and nearly so in area.
        return self._curves[near].seconds(rows * key.area / near.area)

    def cap(self, key: BatchKey) -> int:
        """The rows of a call that serves best: most images a second, for its length.

        Never longer than `max_slowdown` lone calls, nor more than `max_rows` or the memory holds.
        """
        if key.bucket:
            return key.bucket
        if key not in self._caps:
            self._caps[key] = self._best(key)
        return self._caps[key]

    def _best(self, key: BatchKey) -> int:
        most = min(self.max_rows, self._memory.get(key, self.max_rows))
        longest = self.max_slowdown * self.seconds(key, LONE_ROWS)
        choices = {rows: self.seconds(key, rows) for rows in range(LONE_ROWS, most + 1)}
        fitting = {rows: s for rows, s in choices.items() if s <= longest or rows == LONE_ROWS}
        return max(fitting, key=lambda rows: rows / fitting[rows] ** (1 + _GAIN))

    def unmeasured(self, key: BatchKey) -> int | None:
        """The smallest useful number of rows that this size was never measured at."""
        curve = self._curves.get(key.priced)
        measured = curve.measured if curve else {}
        most = min(self.max_rows, self._memory.get(key.priced, self.max_rows))
        wanted = [rows for rows in (2, 4, 8, 12, 16, 24, 32, 48, 64) if rows <= most]
        return next((rows for rows in wanted if rows not in measured), None)

    def to_json(self) -> list[dict[str, Any]]:
        """The curves as plain data."""
        return [
            asdict(key) | {"seconds": {str(rows): s for rows, s in curve.measured.items()}}
            for key, curve in self._curves.items()
        ]

    def from_json(self, curves: Iterable[Mapping[str, Any]]) -> None:
        """Take over curves measured earlier. Raises ValueError."""
        try:
            self._curves |= dict(map(_curve, curves))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not a list of curves") from error


def _curve(data: Mapping[str, Any]) -> tuple[BatchKey, Curve]:
    fields = dict(data)
    measured = {int(rows): float(s) for rows, s in fields.pop("seconds").items()}
    if not measured or not all(math.isfinite(s) and s > 0 for s in measured.values()):
        raise ValueError("seconds must be positive")
    return BatchKey(**fields), Curve(measured)
