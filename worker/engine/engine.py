"""The engine: one step of everybody's denoising loop at a time."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

import structlog

from latentry.errors import JobFailed, LatentryError, OutOfMemory
from worker.batching import LONE_ROWS, Batch, BatchKey, Costs, next_batch, next_to_join, room
from worker.engine.backend import Backend, Pictures, Plan, T
from worker.engine.messages import (
    Canceled,
    Done,
    Event,
    Failed,
    Joined,
    Order,
    Pace,
    Saved,
    Step,
)
from worker.engine.previews import Previews

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived:
    """An order whose model may not be ready."""

    order: Order
    since: float


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """An order that could begin."""

    order: Order
    since: float
    plan: Plan

    @property
    def key(self) -> BatchKey:
        return self.plan.key

    @property
    def rows(self) -> int:
        return self.plan.rows


class Engine(Generic[T]):
    """Draws every submitted order, many per UNet call. All its work is done in the caller's thread.

    Every submitted order ends in exactly one Done, Failed or Canceled.
    """

    def __init__(self, backend: Backend[T], costs: Costs | None = None) -> None:
        self.costs = costs or Costs()
        self.pace = Pace()
        self._backend = backend
        self._arrived: list[_Arrived] = []
        self._waiting: list[_Waiting] = []
        self._stepping: list[T] = []
        self._finished: list[T] = []
        self._leaving: deque[tuple[list[T], Pictures]] = deque()
        self._previews = Previews(backend)
        self._untold: list[Event] = []

    @property
    def rows(self) -> int:
        """UNet rows of the orders that are being denoised."""
        return sum(trajectory.rows for trajectory in self._stepping)

    @property
    def room(self) -> int:
        """How many more orders it could use; those that are about to leave do not count."""
        staying = [trajectory for trajectory in self._stepping if trajectory.calls_left > 1]
        return room(self._waiting, staying, costs=self.costs) - len(self._arrived)

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing and tell nothing."""
        return not (
            self._arrived
            or self._waiting
            or self._stepping
            or self._finished
            or self._leaving
            or self._untold
        )

    def submit(self, order: Order) -> None:
        """Take an order; it joins the loop at a step boundary, as the policy decides."""
        self._arrived.append(_Arrived(order, self._backend.now()))

    def drop(self, job: str) -> None:
        """Take a job's images out; the next step tells that they are canceled."""
        places: list[list[Any]] = [
            self._arrived, self._waiting, self._stepping, self._finished
        ]  # fmt: skip
        for place in places:
            for one in [one for one in place if one.order.job == job]:
                place.remove(one)
                self._untold.append(Canceled(job, one.order.index))

    def save(self, job: str) -> list[Saved]:
        """Where the job's images stand that were begun and are not drawn."""
        leaving = [one for members, _ in self._leaving for one in members]
        return [
            Saved(job, one.order.index, one.step, self._backend.save(one))
            for one in (*self._stepping, *self._finished, *leaving)
            if one.order.job == job
        ]

    def step(self) -> list[Event]:
        """Newcomers join; one UNet call; some latents are decoded, or shown; pictures leave."""
        events, self._untold = self._untold, []
        began = self._backend.now()
        self._backend.tend(idle=not (self._stepping or self._finished or self._leaving))
        newcomers = self._join()
        joined = self._backend.now()
        batch = next_batch(self._stepping, costs=self.costs)
        events += newcomers
        # Before the call: one that finishes, or drops its guidance, takes fewer rows after it.
        used = sum(member.rows for member in batch.members) if batch else 0
        if batch is not None:
            events += self._denoise(batch)
        self._learn()
        called = self._backend.now()
        self._decode()
        events += self._leave()
        events += self._previews.step(self._stepping)
        ended = self._backend.now()
        rows = batch.rows if batch else 0
        join_s = joined - began if newcomers else 0.0
        self.pace = Pace(rows, used, join_s, called - joined, ended - called)
        return events

    def study(self) -> bool:
        """Measure one call that nobody asked for; False when nothing is left to learn.

        For an idle engine: whoever comes just then waits for one call.
        """
        self._learn()
        for order in self._backend.examples():
            plan = self._backend.plan(order)
            rows = self.costs.unmeasured(plan.key)
            if rows is not None:
                trajectory, _ = self._backend.begin(order, plan)
                try:
                    self._backend.advance([trajectory], rows)
                except OutOfMemory:
                    self.costs.forbid(plan.key, rows)
                return True
        return False

    def _learn(self) -> None:
        for call in self._backend.calls():
            self.costs.observe(call.key, call.rows, call.seconds)

    def _join(self) -> list[Event]:
        events = self._plan()
        now = self._backend.now()
        while one := next_to_join(self._waiting, self._stepping, costs=self.costs, now=now):
            self._waiting.remove(one)
            try:
                trajectory, warnings = self._backend.begin(one.order, one.plan)
            except LatentryError as error:
                events.append(_failed(one.order, error))
                continue
            trajectory.since = one.since
            place = self._stepping if trajectory.calls_left else self._finished
            place.append(trajectory)
            order, step = one.order, trajectory.step
            events.append(Joined(order.job, order.index, tuple(warnings), step))
        return events

    def _plan(self) -> list[Event]:
        """Those whose model is ready by now can wait for a row; those who lost it wait for it."""
        events: list[Event] = []
        for held in [held for held in self._waiting if not self._is_ready(held.key.model)]:
            self._waiting.remove(held)
            self._arrived.append(_Arrived(held.order, held.since))
        for one in list(self._arrived):
            try:
                if not self._backend.ready(one.order.request.model):
                    continue
                plan = self._backend.plan(one.order)
            except LatentryError as error:
                events.append(_failed(one.order, error))
            else:
                self._waiting.append(_Waiting(one.order, one.since, plan))
            self._arrived.remove(one)
        return events

    def _is_ready(self, model: str) -> bool:
        try:
            return self._backend.ready(model)
        except LatentryError:
            return False

    def _denoise(self, batch: Batch[T]) -> list[Event]:
        """Advance the batch. If that fails, run its members apart, so that only a culprit fails."""
        try:
            return self._advance(batch.members, batch.rows)
        except OutOfMemory:
            log.warning("engine.out_of_memory", rows=batch.rows, members=len(batch.members))
            if batch.rows > LONE_ROWS and not batch.key.is_strict:
                self.costs.forbid(batch.key, batch.rows)
                return []
        except JobFailed as error:
            log.warning("engine.call_failed", rows=batch.rows, why=error.message)
        events: list[Event] = []
        for member in batch.members:
            try:
                events += self._advance([member], member.key.bucket or member.rows)
            except JobFailed as error:
                self._stepping.remove(member)
                events.append(_failed(member.order, error))
        return events

    def _advance(self, members: Sequence[T], rows: int) -> list[Event]:
        steps_before = [member.step for member in members]
        self._backend.advance(members, rows)
        now = self._backend.now()
        events: list[Event] = []
        for member, before in zip(members, steps_before, strict=True):
            order, member.since = member.order, now
            if member.step > before:
                steps = order.request.num_inference_steps
                events.append(Step(order.job, order.index, member.step, steps))
                self._previews.note(member)
            if member.calls_left == 0:
                self._stepping.remove(member)
                self._finished.append(member)
        return events

    def _decode(self) -> None:
        """Send off the oldest finished latent, and a quarter of many with it, if of its size.

        So a lone picture stalls the loop by one decode, a burst is told within a few steps, and
        what waits stays bounded however many finish in each step.
        """
        if not self._finished:
            return
        key = self._finished[0].key
        most = 1 if key.is_strict else math.ceil(len(self._finished) / 4)
        members = [one for one in self._finished if one.key == key][:most]
        for one in members:
            self._finished.remove(one)
        self._leaving.append((members, self._backend.decode(members)))

    def _leave(self) -> list[Event]:
        """Tell what has arrived from the device; wait for it only if there is nothing else."""
        events: list[Event] = []
        while self._leaving and (self._leaving[0][1].ready or not self._stepping):
            members, pictures = self._leaving.popleft()
            for one, picture in zip(members, pictures.take(), strict=True):
                if isinstance(picture, JobFailed):
                    events.append(_failed(one.order, picture))
                else:
                    profile = self._backend.profile(one)
                    events.append(Done(one.order.job, one.order.index, picture, profile))
        return events


def _failed(order: Order, error: LatentryError) -> Failed:
    return Failed(order.job, order.index, error)
