"""Times calls of the CPU."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.batching import BatchKey
from worker.engine.loop.backend import TimedCall


class Clock:
    """Times calls that are over when they return."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._ended: list[TimedCall] = []

    @contextmanager
    def call(self, key: BatchKey, rows: int) -> Iterator[None]:
        """Around one call."""
        began = self._now()
        yield
        self._ended.append(TimedCall(key, rows, self._now() - began))

    def ended(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""
        ended, self._ended = self._ended, []
        return ended
