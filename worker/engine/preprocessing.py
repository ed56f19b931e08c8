"""Preprocessors of control pictures by themselves, in short calls beside the UNet's. No torch."""

import time
from collections.abc import Callable
from typing import Final

from latentry.contracts import InputFile, Preprocess, PreprocessorsCard, ResolvedControl
from latentry.rules.preprocessing import Operation, control_calls, fit_of
from worker.engine.background.clock import Clock
from worker.engine.background.profile import profile_id
from worker.engine.background.tool import Call
from worker.engine.inputs.canny import Edges, ridges
from worker.engine.inputs.canvas import Pixels
from worker.engine.inputs.resize import Resizing
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

    def calls(self, request: ResolvedControl) -> list[Call]:
        """Their pace is that of looking for edges, beside which all others do little."""
        return [
            Call(*one.box.size, "" if one.operation is Operation.EDGES else one.operation)
            for one in control_calls(request)
        ]

    def begin(self, request: ResolvedControl, picture: Pixels) -> "Preprocessing":
        """Begin with RGB bytes [height, width, 3]."""
        return Preprocessing(request, picture)


class Preprocessing:
    """One picture, in the calls of `control_calls`.

    The same bytes as a ControlNet is shown of the same picture at the same size.
    """

    is_done = False

    def __init__(self, request: ResolvedControl, picture: Pixels) -> None:
        self._request = request
        self._calls = control_calls(request)
        self._resizing = Resizing(picture, fit_of(request))
        self._found: Pixels | None = None
        self._edges = Edges()

    def make(self, call: int) -> None:
        """Make one call."""
        one = self._calls[call]
        if one.resized is not None:
            self._resizing.resize(one.resized)
        match one.operation:
            case Operation.PAD:
                self._resizing.pad(*self._request.final_size)
            case Operation.INVERT:
                self._found = 255 - self._resizing.made
            case Operation.EDGES:
                rows = one.box.top, one.box.bottom
                found = ridges(self._resizing.made, *rows, *self._request.thresholds)
                self._edges.add(*found)
            case Operation.CONNECT:
                self._found = self._edges.picture()

    def take(self) -> Taken:
        """The finished picture."""
        return Taken([self._resizing.made if self._found is None else self._found])
