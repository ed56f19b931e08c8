"""What goes into the engine and what comes out of it."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from latentry.contracts import ResolvedRequest
from latentry.errors import JobFailed

Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Order:
    """One image to draw: the `index`-th of a job, from its own seed."""

    job: str
    index: int
    request: ResolvedRequest
    seed: int


@dataclass(frozen=True, slots=True)
class Step:
    """`step` of the image's `steps` are done."""

    job: str
    index: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """The picture: RGB bytes, height × width × 3."""

    job: str
    index: int
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Failed:
    """The image will not be made, and why."""

    job: str
    index: int
    error: JobFailed


@dataclass(frozen=True, slots=True)
class Canceled:
    """The image was dropped before it was done."""

    job: str
    index: int


@dataclass(frozen=True, slots=True)
class Pace:
    """What one step of the loop took: rows of its UNet call, padding included, and seconds.

    On a GPU the seconds of a call are those until it was queued; they add up over many steps.
    """

    rows: int = 0
    call_s: float = 0.0
    decode_s: float = 0.0


# Every admitted order ends in exactly one Done, Failed or Canceled.
Event: TypeAlias = Step | Done | Failed | Canceled
