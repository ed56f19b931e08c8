"""How many threads a UNet call gets on a CPU that other processes use, too."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch

from latentry.cpus import usable_cpus, within_limit
from worker.engine.neighbours import Neighbours

_LOOK_S: Final = 0.5  # how often the machine's load is looked at
_PAUSE_S: Final = 2.0  # without a call, after which it is counted anew, and looked at soon
_SOON_S: Final = 0.1
# Whoever is busy for a moment must not take a thread of a call that takes many times as long.
_SHARE: Final = 0.1
# A thread is given up when others take half of its CPU, and taken again when that is free.
_LOST, _FREE = 0.5, 0.65


def choose_threads(threads: int) -> None:
    """Set the compute threads of this process; 0 for one a core, or what its container may use."""
    chosen = threads or within_limit(torch.get_num_threads())
    if chosen != torch.get_num_threads():
        torch.set_num_threads(chosen)


class Threads:
    """All threads of this process, or as many as there are CPUs that others leave alone.

    The threads of a call wait for each other after every operation. One whose CPU is taken away for
    a moment delays all of them: with one busy process on two cores, two threads take four times as
    long as on a quiet machine, and one takes half as long again.
    """

    def __init__(
        self,
        *,
        busy_cpus: Callable[[], float] | None = None,
        cpus: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.all = torch.get_num_threads()
        self._few = self.all
        self._busy_cpus = busy_cpus or Neighbours().busy_cpus
        self._cpus = cpus or len(usable_cpus())
        self._clock = clock
        self._looked_s = self._ended_s = clock()
        self._longest_s = 0.0  # of the calls since the machine's load was looked at

    def take_all(self) -> None:
        """Begin anew with all of them: who was busy while this process started may be done."""
        self._busy_cpus()
        self._few = self.all
        self._looked_s = self._ended_s = self._clock()

    @contextmanager
    def spare(self) -> Iterator[None]:
        """Around a call whose last bits may depend on how many threads it has."""
        few = self._count()
        if few != self.all:
            torch.set_num_threads(few)
        began = self._clock()
        try:
            yield
        finally:
            if few != self.all:
                torch.set_num_threads(self.all)
            self._ended_s = self._clock()
            self._longest_s = max(self._longest_s, self._ended_s - began)

    def _count(self) -> int:
        now = self._clock()
        soon_s = max(_SOON_S, _SHARE * self._longest_s)
        look_s = max(_LOOK_S, soon_s)
        if now - self._ended_s >= _PAUSE_S:
            self._busy_cpus()  # of the pause: who was busy then may be gone
            self._looked_s = now - look_s + soon_s
        elif now - self._looked_s >= look_s:
            self._looked_s, self._longest_s = now, 0.0
            free = self._cpus - self._busy_cpus()
            while self._few > 1 and free < self._few - _LOST:
                self._few -= 1
            while self._few < self.all and free >= self._few + _FREE:
                self._few += 1
        return self._few
