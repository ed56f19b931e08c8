"""How busy other processes keep the CPUs that this one may use. Linux only; elsewhere never."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from latentry.cpus import usable_cpus

_STAT: Final = Path("/proc/stat")
_USER, _SYSTEM, _IRQ, _SOFTIRQ = 1, 3, 6, 7  # fields of a CPU's line; 2 is that of nice processes


class Neighbours:
    """Seconds of CPU time per second that others took since it was last asked.

    Processes with a lower priority, as the compiler has it, do not count: they take what is left
    over.
    """

    def __init__(
        self,
        *,
        stat: Path = _STAT,
        clock: Callable[[], float] = time.monotonic,
        own_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._stat = stat
        self._clock = clock
        self._own_s = own_s
        self._before = self._counted()

    def busy_cpus(self) -> float:
        """How many CPUs others have kept busy, on average."""
        (began, busy_s), self._before = self._before, self._counted()
        now, still_busy_s = self._before
        return max(0.0, still_busy_s - busy_s) / (now - began) if now > began else 0.0

    def _counted(self) -> tuple[float, float]:
        """The time, and the seconds that all others have spent on these CPUs so far."""
        try:
            lines = self._stat.read_text().splitlines()
        except OSError:
            return self._clock(), 0.0
        names = {f"cpu{cpu}" for cpu in usable_cpus()}
        counts = [line.split() for line in lines if line.partition(" ")[0] in names]
        ticks = sum(int(one[field]) for one in counts for field in (_USER, _SYSTEM, _IRQ, _SOFTIRQ))
        return self._clock(), ticks / os.sysconf("SC_CLK_TCK") - self._own_s()
