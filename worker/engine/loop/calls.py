"""The calls of one step: the UNet's, and beside it those of the background."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import structlog

from latentry.errors import JobFailed, LatentryError, OutOfMemory
from latentry.errors.frames import without_frames
from worker.batching import LONE_ROWS, Batch, next_batch
from worker.engine.loop.backend import Backend, T
from worker.engine.loop.measuring import Measuring
from worker.engine.loop.messages import Event, Failed, Order, Step
from worker.engine.loop.redrawing import one_redrawn

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Called:
    """A UNet call's rows, padding included, and those in use; how many calls were made beside it.

    `wants_background`: whether there was anything to call beside it.
    """

    rows: int
    used: int
    background: int
    wants_background: bool
    events: list[Event]


class Calls(Generic[T]):
    """Advances images. `on_step` is told of each that made a step, `on_left` of each that makes no
    further call.
    """

    def __init__(
        self,
        backend: Backend[T],
        measuring: Measuring[T],
        *,
        on_step: Callable[[T], None],
        on_left: Callable[[T], None],
    ) -> None:
        self._backend = backend
        self._measuring = measuring
        self._costs = measuring.costs
        self._on_step = on_step
        self._on_left = on_left

    def call(self, moving: Sequence[T]) -> Called:
        """Advance some of those that may move."""
        rows, used, events = self._unet_call([one for one in moving if not one.key.background])
        background = [one for one in moving if one.key.background]
        made, more = self._background_calls(background, is_alone=not rows)
        return Called(rows, used, made, bool(background), events + more)

    def _unet_call(self, moving: Sequence[T]) -> tuple[int, int, list[Event]]:
        """One UNet call, if an image can step: its rows, those in use, and its events."""
        batch = next_batch(one_redrawn(moving), costs=self._costs)
        if batch is None:
            return 0, 0, []
        # Before the call: one that finishes, or drops its guidance, takes fewer rows after it.
        used = sum(member.rows for member in batch.members)
        batch = replace(batch, rows=self._measuring.rows(batch.key, batch.rows))
        return batch.rows, used, self._advance_all(batch, used)

    def _background_calls(self, moving: Sequence[T], *, is_alone: bool) -> tuple[int, list[Event]]:
        """As many as steps have earned; if there is no step, one. How many, and their events."""
        share, made, events = self._measuring.background, 0, list[Event]()
        while batch := next_batch(moving, costs=self._costs):
            expected_s = self._costs.seconds(batch.key, batch.rows)
            is_timed = self._costs.cheapest(batch.key) is not None  # or that is a mere guess
            if not (is_alone or share.may_call(expected_s)):
                break
            share.called(expected_s, is_free=is_alone)
            made += 1
            [member] = batch.members
            called = self._advance_alone(member, batch.rows)
            events += called
            ended = {(event.job, event.index) for event in called if isinstance(event, Failed)}
            if ended:
                share.failed()
            moving = [
                one
                for one in moving
                if one.calls_left and (one.order.job, one.order.index) not in ended
            ]
            if is_alone or not is_timed:
                break
        return made, events

    def _advance_all(self, batch: Batch[T], used: int) -> list[Event]:
        """Advance the batch. If that fails, run its members apart, so that only the faulty fail."""
        is_probe = batch.rows > used and not batch.key.is_strict
        try:
            return self._advance(batch.members, batch.rows)
        except OutOfMemory:
            log.warning("engine.out_of_memory", rows=batch.rows, members=len(batch.members))
            if _may_be_smaller(batch, used):
                fitting = used if is_probe else self._costs.retreat(batch.key, batch.rows)
                self._costs.bound(batch.key, fitting)
                return []
        except JobFailed as error:
            log.warning("engine.call_failed", rows=batch.rows, why=error.message)
            if is_probe:  # the next call goes without the extra rows
                return []
        events: list[Event] = []
        for member in batch.members:
            events += self._advance_alone(member, member.key.bucket or member.rows)
        return events

    def _advance_alone(self, member: T, rows: int) -> list[Event]:
        """Advance one image, or let it fail."""
        try:
            return self._advance([member], rows)
        except JobFailed as error:
            log.warning("engine.image_failed", job=member.order.job, why=error.message)
            self._on_left(member)
            return [failed(member.order, error)]

    def _advance(self, members: Sequence[T], rows: int) -> list[Event]:
        steps_before = [member.step for member in members]
        self._backend.advance(members, rows)
        now = self._backend.now()
        events: list[Event] = []
        for member, before in zip(members, steps_before, strict=True):
            order, member.since = member.order, now
            if member.step > before:
                steps = order.request.total_steps
                events.append(Step(order.job, order.index, member.step, steps))
                self._on_step(member)
            if member.calls_left == 0:
                self._on_left(member)
        return events


def failed(order: Order, error: LatentryError) -> Failed:
    """The event of an image that failed."""
    return Failed(order.job, order.index, without_frames(error))


def _may_be_smaller(batch: Batch[T], used: int) -> bool:
    """Whether fewer rows are left to try: not in strict mode, nor below what one image takes."""
    has_more = batch.rows > used or len(batch.members) > 1
    return has_more and batch.rows > LONE_ROWS and not batch.key.is_strict
