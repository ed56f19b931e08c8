"""The engine: one step of all images' denoising loops at a time."""

from typing import Generic

import structlog

from latentry.contracts.catalogue.models import Pace
from latentry.errors import JobFailed
from worker.batching import Costs
from worker.engine.loop.backend import Backend, T
from worker.engine.loop.calls import Calls, failed
from worker.engine.loop.decoding import Decoding
from worker.engine.loop.intermediates import Intermediates
from worker.engine.loop.measuring import Measuring
from worker.engine.loop.messages import (
    Canceled,
    Done,
    Event,
    Intermediate,
    Order,
    Saved,
    StepTiming,
)
from worker.engine.loop.previews import Previews
from worker.engine.loop.waiting_orders import WaitingOrders

log = structlog.get_logger()


class Engine(Generic[T]):
    """Draws every submitted order, many per UNet call. All its work is done in the caller's thread.

    Every submitted order ends in exactly one Done, Failed or Canceled. `holds_intermediates`: while
    it is set, steps that are to be stored are not decoded, and their images wait.
    """

    def __init__(self, backend: Backend[T], costs: Costs | None = None) -> None:
        self.backend = backend
        self.costs = costs or Costs()
        self.last_step = StepTiming()
        self._waiting = WaitingOrders(backend, self.costs)
        self._stepping: list[T] = []
        self._paused: set[str] = set()
        self._decoding = Decoding(backend)
        self._previews = Previews(backend)
        self._intermediates = Intermediates(backend)
        self.holds_intermediates = False
        self._canceled: list[Event] = []
        self._measuring = Measuring(backend, self.costs)
        self._calls = Calls(backend, self._measuring, on_step=self._stepped, on_left=self._left)

    @property
    def rows(self) -> int:
        """UNet rows of the orders that are being denoised."""
        return sum(one.rows for one in self._stepping if not one.key.background)

    @property
    def room(self) -> int:
        """How many more orders it could use; those before their last call do not count."""
        staying = [trajectory for trajectory in self._stepping if trajectory.calls_left > 1]
        return self._waiting.room(staying)

    @property
    def background_room(self) -> int:
        """How many more orders of the background it could use."""
        return self._waiting.background_room(self._stepping)

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing and return no events."""
        is_drawing = self._stepping or not self._decoding.is_empty
        return self._waiting.is_empty and not is_drawing and not self._canceled

    @property
    def is_changing(self) -> bool:
        """Whether a step has something to do to the models, though no order may wait."""
        return self.backend.is_changing

    @property
    def most_frames(self) -> int:
        """Of the images whose calls the next step may make: a clip's take so many times as long."""
        orders = [*self._waiting.orders, *(one.order for one in self._stepping)]
        return max((one.request.frames for one in orders if not one.is_background), default=1)

    @property
    def is_loading(self) -> bool:
        """Whether the next step may have to prove a model, however long that takes."""
        return self.backend.is_loading

    @property
    def next_free_row_s(self) -> float:
        """Seconds until an image finishes and frees a row, if steps go on as the last one did."""
        denoised = [one for one in self._stepping if not one.key.background]
        calls = min((one.calls_left for one in denoised), default=0)
        return calls * len({one.key for one in denoised}) * self.last_step.total_s

    def submit(self, order: Order, *, goes_first: bool = False) -> None:
        """Take an order; it joins the loop at a step boundary, as the policy decides.

        One that goes first is for a row that was freed for it.
        """
        self._waiting.submit(order, goes_first=goes_first)

    def change_model(self, model: str, blueprint: object) -> None:
        """Serve a model as its files are now, or no longer (`Backend.change_model`)."""
        self.costs.forget(model)
        self.backend.change_model(model, blueprint)

    def pause(self, job: str) -> None:
        """Make no more steps of a job's images. They keep their rows until it is dropped."""
        self._paused.add(job)

    def watch(self, job: str, every: int) -> None:
        """Make a preview of the first of a job's images, after a step that `every` divides."""
        self._previews.watch([one for one in self._stepping if one.order.job == job], every)

    def drop(self, job: str) -> None:
        """Take a job's images out; the next step returns a Canceled for each."""
        self._paused.discard(job)
        dropped = [one for one in self._stepping if one.order.job == job]
        self._stepping[:] = [one for one in self._stepping if one not in dropped]
        dropped += self._decoding.drop(job)
        self._intermediates.drop(job)
        orders = [*self._waiting.drop(job), *(one.order for one in dropped)]
        self._canceled += [Canceled(job, order.index) for order in orders]

    def save(self, job: str) -> list[Saved]:
        """Checkpoints of the job's images that were begun and are not drawn."""
        return [
            Saved(job, one.order.index, one.step, self.backend.save(one))
            for one in (*self._stepping, *self._decoding.members)
            if one.order.job == job and not one.key.background  # as large as what they make
        ]

    def step(self) -> list[Event]:
        """Newcomers join; one UNet call, and calls beside it; some latents are decoded, or shown;
        pictures leave.
        """
        events, self._canceled = self._canceled, []
        is_drawing = self._stepping or not self._decoding.is_empty
        self.backend.continue_loading(idle=not is_drawing)
        began = self.backend.now()  # loading is no part of a step, whose length it would distort
        has_newcomers, joins = self._join()
        events += joins
        joined = self.backend.now()
        called = self._calls.call(self._moving())
        events += called.events
        self._measuring.take_in()
        ended_calls = self.backend.now()
        decoded = self._decoding.decode_some(but=self._intermediates.members)
        events += self._pictures()
        events += self._steps_shown(is_alone=not (called.rows or called.background))
        events += self._previews.step(self._stepping)
        ended = self.backend.now()
        self._measuring.add_step(
            ended - began, is_unet=called.rows > 0, wants_background=called.wants_background
        )
        self.last_step = StepTiming(
            called.rows,
            called.used,
            joined - began if has_newcomers else 0.0,
            ended_calls - joined,
            ended - ended_calls,
            background=called.background,
            decoded=decoded,
        )
        return events

    def _join(self) -> tuple[bool, list[Event]]:
        """Newcomers join; whether there are any, and their events."""
        newcomers, events = self._waiting.join(self._stepping)
        for one in newcomers:  # one saved when only its picture was missing goes there at once
            if one.calls_left:
                self._stepping.append(one)
            else:
                self._decoding.add(one)
            if one.order.checkpoint is not None and one.has_stepped:
                self._intermediates.step_done(one)
        return bool(newcomers), events

    def calibrate(self) -> bool:
        """Make and time one call for the costs; False if none is both wanted and short enough.

        For an idle engine: an order that comes just then waits for it (`Costs.unasked_s`).
        """
        return self._measuring.calibrate()

    def paces(self) -> dict[str, Pace]:
        """What pictures of each resident model cost here, of those that were measured."""
        return self._measuring.paces()

    def _moving(self) -> list[T]:
        """Those that may be advanced now."""
        held = self._intermediates.members
        return [
            one for one in self._stepping if one.order.job not in self._paused and one not in held
        ]

    def _stepped(self, member: T) -> None:
        """It has made a step."""
        self._previews.step_done(member)
        self._intermediates.step_done(member)

    def _left(self, member: T) -> None:
        """It was advanced for the last time, or failed, which leaves it calls."""
        self._stepping.remove(member)
        if not member.calls_left:
            self._decoding.add(member)

    def _steps_shown(self, *, is_alone: bool) -> list[Event]:
        """Steps that are to be stored; `is_alone`: there was no call, and nothing else is to do."""
        if not self.holds_intermediates:
            self._intermediates.decode_some(is_alone=is_alone)
        events: list[Event] = []
        for one, kind, picture in self._intermediates.take(wait=is_alone):
            order = one.order
            if isinstance(picture, JobFailed):
                self._stepping[:] = [other for other in self._stepping if other is not one]
                self._decoding.fail(one)
                self._intermediates.fail(one)
                events.append(failed(order, picture))
            else:
                height, width = picture.shape[:2]
                self._measuring.overhead.add_image(width * height / 1e6)
                facts = picture, self.backend.profile(one), one.fingerprints
                events.append(Intermediate(order.job, order.index, one.step, kind, *facts))
        return events

    def _pictures(self) -> list[Event]:
        """Pictures that have arrived on the host; waits for them only if nothing else is to do."""
        events: list[Event] = []
        for one, picture in self._decoding.take(wait=not self._stepping):
            if isinstance(picture, JobFailed):
                events.append(failed(one.order, picture))
            else:
                if not one.key.background:
                    self._measuring.overhead.add_image(one.order.megapixels)
                facts = picture, self.backend.profile(one), one.fingerprints
                events.append(Done(one.order.job, one.order.index, *facts))
        return events
