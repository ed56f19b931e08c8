"""The engine: one step of everybody's denoising loop at a time."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic

import structlog

from latentry.contracts.models import Pace
from latentry.errors import JobFailed, LatentryError, OutOfMemory
from worker.batching import LONE_ROWS, Batch, Costs, Overhead, Probes, next_batch
from worker.engine.loop.backend import Backend, Pictures, T
from worker.engine.loop.messages import (
    Canceled,
    Done,
    Event,
    Failed,
    Order,
    Saved,
    Step,
    StepTiming,
)
from worker.engine.loop.previews import Previews
from worker.engine.loop.waiting_orders import WaitingOrders

log = structlog.get_logger()


class Engine(Generic[T]):
    """Draws every submitted order, many per UNet call. All its work is done in the caller's thread.

    Every submitted order ends in exactly one Done, Failed or Canceled.
    """

    def __init__(self, backend: Backend[T], costs: Costs | None = None) -> None:
        self.costs = costs or Costs()
        self.pace = StepTiming()
        self._backend = backend
        self._overhead = Overhead()
        self._entrance = WaitingOrders(backend, self.costs)
        self._stepping: list[T] = []
        self._finished: list[T] = []
        self._leaving: deque[tuple[list[T], Pictures]] = deque()
        self._previews = Previews(backend)
        self._untold: list[Event] = []
        self._held: set[str] = set()
        self._probes = Probes(self.costs)

    @property
    def rows(self) -> int:
        """UNet rows of the orders that are being denoised."""
        return sum(trajectory.rows for trajectory in self._stepping)

    @property
    def room(self) -> int:
        """How many more orders it could use; those that are about to leave do not count."""
        staying = [trajectory for trajectory in self._stepping if trajectory.calls_left > 1]
        return self._entrance.room(staying)

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing and tell nothing."""
        held = self._stepping or self._finished or self._leaving or self._untold
        return self._entrance.is_empty and not held

    @property
    def is_loading(self) -> bool:
        """Whether the next step may have to convert or prove a model, however long that takes."""
        return self._backend.is_loading

    @property
    def next_free_row_s(self) -> float:
        """When a row comes free by itself, if steps go on as the last one did."""
        calls = min((one.calls_left for one in self._stepping), default=0)
        return calls * len({one.key for one in self._stepping}) * self.pace.total_s

    def submit(self, order: Order, *, goes_first: bool = False) -> None:
        """Take an order; it joins the loop at a step boundary, as the policy decides.

        One that goes first is for a row that was freed for it.
        """
        self._entrance.submit(order, goes_first=goes_first)

    def pause(self, job: str) -> None:
        """Make no more steps of a job's images. They keep their rows until it is dropped."""
        self._held.add(job)

    def drop(self, job: str) -> None:
        """Take a job's images out; the next step tells that they are canceled."""
        self._held.discard(job)
        gone = self._entrance.drop(job)
        for place in (self._stepping, self._finished):
            for one in [one for one in place if one.order.job == job]:
                place.remove(one)
                gone.append(one.order)
        self._untold += [Canceled(job, order.index) for order in gone]

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
        self._backend.tend(idle=not (self._stepping or self._finished or self._leaving))
        began = self._backend.now()  # a load is no step, and says nothing of how long one takes
        newcomers, told = self._entrance.join(self._stepping)
        for one in newcomers:  # one saved when only its picture was missing goes there at once
            (self._stepping if one.calls_left else self._finished).append(one)
        events += told
        joined = self._backend.now()
        moving = [one for one in self._stepping if one.order.job not in self._held]
        batch = next_batch(moving, costs=self.costs)
        # Before the call: one that finishes, or drops its guidance, takes fewer rows after it.
        used = sum(member.rows for member in batch.members) if batch else 0
        if batch is not None:
            batch = replace(batch, rows=self._probes.next(batch.key, batch.rows))
            events += self._denoise(batch, used)
        calls_s = self._learn()
        called = self._backend.now()
        self._decode()
        events += self._leave()
        events += self._previews.step(self._stepping)
        ended = self._backend.now()
        self._overhead.add_step(step_s=ended - began, calls_s=calls_s)
        rows = batch.rows if batch else 0
        join_s = joined - began if newcomers else 0.0
        self.pace = StepTiming(rows, used, join_s, called - joined, ended - called)
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
                try:
                    trajectory, _ = self._backend.begin(order, plan)
                    self._backend.advance([trajectory], rows)
                except JobFailed as error:
                    log.warning("engine.study_failed", rows=rows, why=error.message)
                    self.costs.bound(plan.key, rows // 2)
                self._learn()
                return True
        return False

    def paces(self) -> dict[str, Pace]:
        """What pictures of each resident model cost here, of those that were measured."""
        found = {}
        for order in self._backend.examples():
            key = self._backend.plan(order).key
            cheapest = self.costs.cheapest(key)
            if cheapest is not None:
                rows, seconds = cheapest
                found[order.request.model] = Pace(
                    step_megapixel_s=seconds * LONE_ROWS / rows / order.megapixels,
                    images_at_once=max(1, self.costs.cap(key) // LONE_ROWS),
                    image_megapixel_s=self._overhead.image_megapixel_s,
                )
        return found

    def _learn(self) -> float:
        """Take in the calls that ended; their seconds."""
        calls = self._backend.calls()
        for call in calls:
            if self.costs.observe(call.key, call.rows, call.seconds):
                self._probes.ended(call.key, call.rows, call.seconds)
        return sum(call.seconds for call in calls)

    def _denoise(self, batch: Batch[T], used: int) -> list[Event]:
        """Advance the batch. If that fails, run its members apart, so that only a culprit fails."""
        is_probe = batch.rows > used and not batch.key.is_strict
        try:
            return self._advance(batch.members, batch.rows)
        except OutOfMemory:
            log.warning("engine.out_of_memory", rows=batch.rows, members=len(batch.members))
            if batch.rows > LONE_ROWS and not batch.key.is_strict:
                self.costs.bound(batch.key, used if is_probe else batch.rows // 2)
                return []
        except JobFailed as error:
            log.warning("engine.call_failed", rows=batch.rows, why=error.message)
            if is_probe:  # the next call goes without what nobody needed
                return []
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
                    self._overhead.add_image(one.order.megapixels)
                    profile = self._backend.profile(one)
                    events.append(Done(one.order.job, one.order.index, picture, profile))
        return events


def _failed(order: Order, error: LatentryError) -> Failed:
    return Failed(order.job, order.index, error)
