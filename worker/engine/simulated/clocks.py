"""What simulated work takes its time from: nothing, or this process's clock."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """A clock that can also let time pass."""

    def now(self) -> float:
        """Seconds since some moment."""

    def spend(self, seconds: float) -> None:
        """Let so much time pass."""


@dataclass(slots=True)
class VirtualClock:
    """Time that passes only when it is spent, at once."""

    seconds: float = 0.0

    def now(self) -> float:
        """Seconds since the beginning."""
        return self.seconds

    def spend(self, seconds: float) -> None:
        """Add them."""
        self.seconds += seconds


class WallClock:
    """Real time."""

    def now(self) -> float:
        """Seconds of this process's clock."""
        return time.perf_counter()

    def spend(self, seconds: float) -> None:
        """Sleep so long."""
        time.sleep(seconds)
