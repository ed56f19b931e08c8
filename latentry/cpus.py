"""The CPUs that this process may use, and how much of their time."""

import math
import os
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")


def usable_cpus() -> set[int]:
    """Their numbers."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def within_limit(cpus: int) -> int:
    """How many CPUs' time this process may use of so many: all, or its container's limit."""
    return min(cpus, time_limit() or cpus)


def time_limit(cgroup: Path = _CGROUP) -> int | None:
    """How many CPUs' time a container may take, rounded up; None if there is no limit.

    A container with `cpus: 4` sees all CPUs of its machine: a thread on each of them would use up
    the time of all within milliseconds, and all would stand still until they get more.
    """
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):  # another system, or cgroups of version 1
        return None
    return None if quota == "max" else max(1, math.ceil(int(quota) / int(period)))
