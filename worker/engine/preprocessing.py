"""Preprocessors of control pictures by themselves, in short calls beside the UNet's. No torch."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from latentry.contracts import InputFile, Preprocess, PreprocessorsCard, ResolvedControl
from latentry.rules.preprocessing import control_calls
from latentry.rules.upscaling import strips
from worker.engine.background.clock import Clock
from worker.engine.background.profile import profile_id
from worker.engine.inputs.canny import Edges, ridges
from worker.engine.inputs.canvas import Pixels
from worker.engine.inputs.resize import resized
from worker.engine.loop.backend import Taken

_EXAMPLE_PX: Final = 512


class Preprocessors:
    """What makes control pictures; always there."""

    card = PreprocessorsCard(preprocessors=tuple(one.value for one in Preprocess))
    test_s = 0.0

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.timer = Clock(now)

    @property
    def profile(self) -> str:
        """Of the software that resizes and encodes."""
        return profile_id(self.card.id)

    def example(self) -> ResolvedControl:
        """A request for edges."""
        side = _EXAMPLE_PX
        image = InputFile(file="", pixel_sha256="", width=side, height=side)
        return ResolvedControl(image=image, preprocess=Preprocess.CANNY, width=side, height=side)

    def calls(self, request: ResolvedControl) -> list[tuple[int, int]]:
        """Height and width of what each call makes."""
        return control_calls(request)

    def is_light(self, request: ResolvedControl, call: int) -> bool:
        """All but to look for edges."""
        return not 0 < call <= len(strips(*request.final_size))

    def begin(self, request: ResolvedControl, picture: Pixels) -> "Preprocessing":
        """Begin with RGB bytes [height, width, 3]."""
        return Preprocessing(request, picture)


class Preprocessing:
    """One picture: resized, and of edges strips, and all of them connected.

    The same bytes as a ControlNet is shown of the same picture at the same size.
    """

    is_done = False

    def __init__(self, request: ResolvedControl, picture: Pixels) -> None:
        self._request = request
        self._made = picture
        width, height = request.final_size
        self._strips = strips(width, height)
        self._edges = Edges()

    def make(self, call: int) -> None:
        """Make one call."""
        if call == 0:
            size, mode = self._request.final_size, self._request.resize_mode
            self._made = np.asarray(resized(Image.fromarray(self._made), *size, mode))
            if self._request.preprocess is Preprocess.INVERT:
                self._made = 255 - self._made
        elif call <= len(self._strips):
            one = self._strips[call - 1]
            found = ridges(self._made, one.top, one.bottom, *self._request.thresholds)
            self._edges.add(*found)
        else:
            self._made = self._edges.picture()

    def take(self) -> Taken:
        """The finished picture."""
        return Taken([self._made])
