"""What makes something of one picture, and one picture on its way."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from latentry.contracts import CaptionerCard, PreprocessorsCard, ResolvedBackground, UpscalerCard
from worker.batching import BatchKey
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import Pictures, TimedCall
from worker.engine.loop.messages import Order


class Call(NamedTuple):
    """Height and width of what a call makes, and what it does, as calls of one size take different
    times; '' for those by which a tool's pace is known.
    """

    height: int
    width: int
    operation: str = ""


class Work(Protocol):
    """One picture while it is being made. Its calls are made in their order, each once; after one
    that raises none is made.

    is_done: nothing is left to make, though fewer calls were made than were foreseen.
    """

    is_done: bool

    def make(self, call: int) -> None:
        """Make one call."""

    def take(self) -> Pictures:
        """The finished picture, once all calls are made; of a caption, its UTF-8 bytes."""


class Timer(Protocol):
    """Times calls."""

    def call(self, key: BatchKey, rows: int) -> AbstractContextManager[None]:
        """Around one call."""

    def ended(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""


class Tool(Protocol):
    """An upscaler, the preprocessors, or a captioner."""

    @property
    def card(self) -> UpscalerCard | PreprocessorsCard | CaptionerCard:
        """What it can do."""

    @property
    def timer(self) -> Timer:
        """What times its calls."""

    @property
    def test_s(self) -> float:
        """Seconds of its self-test, in proportion to a whole call; 0 without one."""

    @property
    def profile(self) -> str:
        """The id of all that its bits depend on besides the request."""

    def example(self) -> ResolvedBackground:
        """A request of one call, by which its pace is measured."""

    # `request`: of its own kind, by its queue.
    def calls(self, request: Any) -> Sequence[Call]:
        """In their order."""

    def begin(self, request: Any, picture: Pixels) -> Work:
        """Begin with RGB bytes [height, width, 3]."""


@dataclass(slots=True, eq=False)
class BackgroundTrajectory:
    """A picture on its way. since: seconds on the engine's clock, when it last stepped.

    keys: of each call.
    """

    order: Order
    tool: Tool
    work: Work
    keys: Sequence[BatchKey]
    calls_done: int = 0
    since: float = 0.0
    watched_every: int = 0
    rows: int = 1
    is_redrawn: bool = False
    fingerprints: tuple[str, ...] = ()

    @property
    def key(self) -> BatchKey:
        """That of its next call, or of its last one."""
        return self.keys[min(self.calls_done, len(self.keys) - 1)]

    @property
    def calls_left(self) -> int:
        """Calls until the picture is finished, at most."""
        return 0 if self.work.is_done else len(self.keys) - self.calls_done

    @property
    def step(self) -> int:
        """How many of its steps are done; the gateway counted as many as it expects calls."""
        return self._step_after(self.calls_done)

    @property
    def has_stepped(self) -> bool:
        """Whether its last call ended a step."""
        return self.calls_done > 0 and self.step > self._step_after(self.calls_done - 1)

    def advance(self) -> None:
        """Make the next call."""
        self.work.make(self.calls_done)
        self.calls_done += 1

    def _step_after(self, calls: int) -> int:
        return self.order.request.total_steps * calls // len(self.keys)
