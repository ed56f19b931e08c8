"""What one start of one contender took."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STEPS: Final = 4
GUIDANCE: Final = 7.5
# That of the folder, by name: a single file says nothing of it, and others need more UNet calls.
SAMPLER: Final = "ddim"
PROMPT: Final = "a lighthouse at dusk, oil on canvas"
SIDES: Final = {"sd15": 512, "sdxl": 1024}  # pixels
SERVICES: Final = {"latentry", "before"}
IDLE_S: Final = 8.0  # long enough for a worker that measures while nobody asks
_GB: Final = 1e9


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds and GB of one process from its start on; NaN for what a contender does not say.

    source: `folder` or `file`. imports_s: until its libraries are imported. loaded_s: after that,
    until it can draw; of a service from its start on, with its imports. first_s, second_s,
    rested_s: for the first picture, for the next, and for one after some seconds without a request.
    loaded_gb, peak_gb: its largest resident size until it can draw, and in the end.
    """

    contender: str
    size: str
    dtype: str
    source: str
    imports_s: float = math.nan
    loaded_s: float = math.nan
    first_s: float = math.nan
    second_s: float = math.nan
    rested_s: float = math.nan
    loaded_gb: float = math.nan
    peak_gb: float = math.nan

    @property
    def to_first_s(self) -> float:
        """From the start of the process until the first picture."""
        is_service = self.contender in SERVICES
        parts = (0.0 if is_service else self.imports_s, self.loaded_s, self.first_s)
        return sum(s for s in parts if not math.isnan(s))


def peak_gb(pid: int) -> float:
    """The largest resident size of a process so far."""
    return _status(pid, "VmHWM") / _GB


def resident_gb(pid: int) -> float:
    """The resident size of a process now."""
    return _status(pid, "VmRSS") / _GB


def forget_peak(pid: int) -> None:
    """The largest resident size so far is the one of now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def largest_descendant(pid: int) -> int:
    """The process with the largest resident size among a process's descendants and itself."""
    return max(_family(pid), key=lambda one: _status(one, "VmRSS"))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _status(pid: int, field: str) -> int:
    """Bytes of a field of /proc/PID/status; 0 of a process that ends."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0
