"""Lanczos resampling by Pillow, a strip at a time: the same bytes as of the whole picture at once.

The vertical weights of a strip are computed from its own first row, so that their last bits may
differ, and with them a byte in many millions by one.
"""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from latentry.contracts import ResolvedUpscale, UpscalerCard
from latentry.contracts.upscales import LANCZOS
from latentry.rules.upscaling import strips
from worker.engine.background.clock import Clock
from worker.engine.background.profile import profile_id
from worker.engine.inputs.canvas import Pixels
from worker.engine.inputs.resize import FILTER
from worker.engine.loop.backend import Taken
from worker.engine.upscaling.upscaler import Upscaler

SCALE: Final = 8.0
_DEFAULT_SCALE: Final = 2.0


class Resampling:
    """A picture resampled to `size`, width and height, in strips."""

    is_done = False

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


class Lanczos(Upscaler):
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
