"""An engine that draws in no time, and fails where a prompt says so."""

from collections import deque

import numpy as np

from latentry.contracts import JobWarning
from latentry.contracts.catalogue.models import Pace
from latentry.errors import EngineError, ModelGone, ModelNotLoaded
from worker.engine.loop import (
    Canceled,
    Done,
    Event,
    Failed,
    Joined,
    Order,
    Preview,
    Saved,
    Step,
    StepTiming,
)


class FakeEngine:
    """One row an image, one colour a seed. A prompt of `fail N` fails the N-th image.

    `absent`: its model does not load, or if it has a refiner, that.
    """

    last_step = StepTiming(rows=2)
    is_loading = False
    is_changing = False
    next_free_row_s = 60.0
    background_room = 0
    most_frames = 1

    def __init__(self) -> None:
        self._drawing: deque[tuple[Order, int]] = deque()
        self._events: list[Event] = []
        self.admitted: list[Order] = []
        self.to_calibrate = 0
        self.saves: list[str] = []
        self.gone: set[str] = set()
        self.watched: set[str] = set()

    @property
    def room(self) -> int:
        return 2 - len(self._drawing)

    @property
    def idle(self) -> bool:
        return not self._drawing and not self._events

    def submit(self, order: Order, *, goes_first: bool = False) -> None:
        if order.request.prompt == "refuse":
            self._events.append(Failed(order.job, order.index, EngineError("refused")))
            return
        if order.request.prompt == "absent":
            error = ModelNotLoaded(model=order.request.models[-1])
            self._events.append(Failed(order.job, order.index, error))
            return
        if order.request.model in self.gone:
            self._events.append(Failed(order.job, order.index, ModelGone()))
            return
        step = int(order.checkpoint or 0)
        self._drawing.append((order, step))
        self.admitted.append(order)
        warning = JobWarning(code="fake", message="not a real picture")
        self._events.append(Joined(order.job, order.index, (warning,), step))

    def change_model(self, model: str, blueprint: object) -> None:
        """Images that it draws are drawn to their end."""
        (self.gone.discard if blueprint else self.gone.add)(model)

    def watch(self, job: str, every: int) -> None:
        self.watched.add(job)

    def save(self, job: str) -> list[Saved]:
        self.saves.append(job)
        return [Saved(job, o.index, k, b"%d" % k) for o, k in self._drawing if o.job == job]

    def paces(self) -> dict[str, Pace]:
        return {"shapes": Pace(step_megapixel_s=2.0, images_at_once=1)}

    def calibrate(self) -> bool:
        self.to_calibrate -= 1
        return self.to_calibrate >= 0

    def drop(self, job: str) -> None:
        self._events += [Canceled(job, o.index) for o, _ in self._drawing if o.job == job]
        self._drawing = deque((o, step) for o, step in self._drawing if o.job != job)

    def step(self) -> list[Event]:
        events, self._events = self._events, []
        if not self._drawing:
            return events
        order, step = self._drawing.popleft()
        steps = order.request.num_inference_steps
        if order.request.prompt == f"fail {order.index}":
            return [*events, Failed(order.job, order.index, EngineError("as the prompt says"))]
        if step == steps:
            shape = (order.request.height, order.request.width, 3)
            pixels = np.full(shape, order.seed % 256, dtype=np.uint8)
            return [*events, Done(order.job, order.index, pixels)]
        if order.request.prompt != "for ever":
            self._drawing.appendleft((order, step + 1))  # one after the other
            return [*events, *self._stepped(order, step + 1)]
        step = min(step + 1, steps - 1)
        self._drawing.append((order, step))
        return [*events, *self._stepped(order, step)]

    def _stepped(self, order: Order, step: int) -> list[Event]:
        stepped = Step(order.job, order.index, step, order.request.num_inference_steps)
        if not order.request.preview_interval and order.job not in self.watched:
            return [stepped]
        self.watched.discard(order.job)
        pixels = np.full((96, 128, 3), order.seed % 256, dtype=np.uint8)
        return [stepped, Preview(order.job, order.index, step, pixels)]
