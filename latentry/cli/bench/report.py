"""What a load did: rates, how long jobs took, and which errors there were."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """One job as its caller saw it. Seconds; `at_s` since the load began.

    total_s: from when it was due to its end, so that a caller who is late does not hide a wait.
    queue_s: from its submission to its first claim. error: a code, or empty.
    """

    at_s: float
    total_s: float
    queue_s: float | None = None
    images: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles in seconds, by nearest rank; None if nothing was measured."""

    p50: float | None
    p99: float | None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Spread":
        """Those of these."""
        ordered = sorted(seconds)
        return cls(_rank(ordered, 0.5), _rank(ordered, 0.99))

    def __str__(self) -> str:
        if self.p50 is None or self.p99 is None:
            return "nothing measured"
        return f"p50 {self.p50:.2f} s, p99 {self.p99:.2f} s"


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one load. Rates count what ended while new jobs came, in `seconds`."""

    load: str
    seconds: float
    succeeded: int
    images: int
    jobs_per_s: float
    images_per_s: float
    queue_s: Spread
    total_s: Spread
    errors: Mapping[str, int]

    @classmethod
    def of(cls, load: str, outcomes: Sequence[Outcome], seconds: float) -> "Report":
        """What the outcomes amount to."""
        done = [one for one in outcomes if not one.error]
        within = [one for one in done if one.at_s <= seconds]
        return cls(
            load=load,
            seconds=seconds,
            succeeded=len(done),
            images=sum(one.images for one in done),
            jobs_per_s=len(within) / seconds if seconds else 0.0,
            images_per_s=sum(one.images for one in within) / seconds if seconds else 0.0,
            queue_s=Spread.of(one.queue_s for one in done if one.queue_s is not None),
            total_s=Spread.of(one.total_s for one in done),
            errors=dict(Counter(one.error for one in outcomes if one.error).most_common()),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.load}, {self.seconds:.1f} s"
        failed = sum(self.errors.values())
        yield f"jobs    {self.succeeded} succeeded, {failed} failed"
        yield f"rate    {self.images_per_s:.2f} images/s, {self.jobs_per_s:.2f} jobs/s"
        yield f"queue   {self.queue_s}"
        yield f"total   {self.total_s}"
        for code, count in self.errors.items():
            yield f"error   {code}: {count}"


def _rank(ordered: Sequence[float], part: float) -> float | None:
    return ordered[math.ceil(part * len(ordered)) - 1] if ordered else None
