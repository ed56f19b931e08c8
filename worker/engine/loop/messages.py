"""What goes into the engine and what comes out of it."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from latentry.contracts import JobWarning, ResolvedRequest
from latentry.errors import LatentryError

Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Order:
    """One image to draw: the `index`-th of a job, from its own seed or from where it was saved."""

    job: str
    index: int
    request: ResolvedRequest
    seed: int
    checkpoint: bytes | None = None

    @property
    def megapixels(self) -> float:
        """Its size."""
        return self.request.width * self.request.height / 1e6


@dataclass(frozen=True, slots=True)
class Joined:
    """The image is being drawn from here on, and what its caller should know.

    `step`: how many of its steps were done already, by its checkpoint.
    """

    job: str
    index: int
    warnings: tuple[JobWarning, ...]
    step: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """`step` of the image's `steps` are done."""

    job: str
    index: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """How far the image is after `step`: RGB bytes of a small picture."""

    job: str
    index: int
    step: int
    pixels: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """The picture: RGB bytes, height × width × 3; in strict mode the id of its profile."""

    job: str
    index: int
    pixels: Pixels
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The image will not be made, and why."""

    job: str
    index: int
    error: LatentryError


@dataclass(frozen=True, slots=True)
class Canceled:
    """The image was dropped before it was done."""

    job: str
    index: int


@dataclass(frozen=True, slots=True)
class Saved:
    """Where an unfinished image stands: enough to go on from there elsewhere."""

    job: str
    index: int
    step: int
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class StepTiming:
    """What one step of the loop took: rows of its UNet call, padding included, and seconds.

    `used` counts the rows that were somebody's. On a GPU the seconds of a call are those until it
    was queued behind the one before; they add up over many steps.
    """

    rows: int = 0
    used: int = 0
    join_s: float = 0.0
    call_s: float = 0.0
    decode_s: float = 0.0

    @property
    def total_s(self) -> float:
        """The whole step."""
        return self.join_s + self.call_s + self.decode_s


# Every submitted order ends in exactly one Done, Failed or Canceled.
Event: TypeAlias = Joined | Step | Preview | Done | Failed | Canceled
