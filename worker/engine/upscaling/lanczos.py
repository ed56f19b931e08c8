"""Lanczos resampling by Pillow, a strip at a time: the same bytes as of the whole picture at once.

The vertical weights of a strip are computed from its own first row, so that their last bits may
differ, and with them a byte in many millions by one.
"""

import hashlib
import platform
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import PIL
from PIL import Image

from latentry.contracts import ResolvedUpscale, UpscalerCard
from latentry.contracts.upscales import LANCZOS
from latentry.rules.upscaling import strips
from latentry.version import __version__
from worker.batching import BatchKey
from worker.engine.inputs.canvas import Pixels
from worker.engine.inputs.resize import FILTER
from worker.engine.loop.backend import Taken, TimedCall

SCALE: Final = 8.0
_DEFAULT_SCALE: Final = 2.0


class Resampling:
    """A picture resampled to `size`, width and height, in strips."""

    def __init__(self, picture: Pixels, size: tuple[int, int]) -> None:
        self._source = Image.fromarray(picture)
        width, height = size
        self._made = np.empty((height, width, 3), np.uint8)
        self._strips = strips(width, height)

    def make(self, call: int) -> None:
        """Make one strip. Pillow reads beyond the box, as far as its filter reaches."""
        strip, (height, width) = self._strips[call], self._made.shape[:2]
        scale = self._source.height / height
        box = (0.0, strip.top * scale, float(self._source.width), strip.bottom * scale)
        made = self._source.resize((width, strip.bottom - strip.top), FILTER, box=box)
        self._made[strip.top : strip.bottom] = np.asarray(made)

    def take(self) -> Taken:
        """The finished picture."""
        return Taken([self._made])


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


class Lanczos:
    """The upscaler that is always there."""

    card = UpscalerCard(
        id=LANCZOS,
        architecture="Lanczos",
        scale=SCALE,
        default_scale=_DEFAULT_SCALE,
        created=0,  # there is no file that has a date
    )
    test_s = 0.0

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.timer = Clock(now)

    @property
    def profile(self) -> str:
        """Of the software that resamples and encodes."""
        return profile_id(LANCZOS)

    def begin(self, request: ResolvedUpscale, picture: Pixels) -> Resampling:
        """Begin with RGB bytes [height, width, 3]."""
        return Resampling(picture, request.final_size)


def profile_id(*facts: str) -> str:
    """A short hash of what an upscale's bits depend on, with what all of them depend on."""
    software = (
        f"Pillow {PIL.__version__}",
        f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
        f"numpy {np.__version__}",
        f"latentry {__version__}",
        platform.machine(),
    )
    return hashlib.sha256("\n".join((*facts, *software)).encode()).hexdigest()[:16]
