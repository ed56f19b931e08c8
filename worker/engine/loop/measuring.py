"""What calls and pictures cost here, as the loop measures it."""

from typing import Generic

import structlog

from latentry.contracts.catalogue.models import Pace
from latentry.errors import JobFailed
from worker.batching import LONE_ROWS, BackgroundShare, BatchKey, Costs, Overhead, Probes
from worker.engine.loop.backend import Backend, T

log = structlog.get_logger()


class Measuring(Generic[T]):
    """Learns from the calls that the backend has timed, and makes some for that when idle."""

    def __init__(self, backend: Backend[T], costs: Costs) -> None:
        self.overhead = Overhead()
        self.background = BackgroundShare()
        self._backend = backend
        self.costs = costs
        self._probes = Probes(costs)
        self._unet_s = self._background_s = 0.0  # of the calls that ended last
        self.take_in()  # calls that tested the models

    def rows(self, key: BatchKey, rows: int) -> int:
        """How many rows to give a call that needs `rows`: as many, or seldom more as a probe."""
        return self._probes.next(key, rows)

    def take_in(self) -> None:
        """Take in the calls that have ended."""
        calls = self._backend.calls()
        self._unet_s = self._background_s = 0.0
        for call in calls:
            if call.key.background:
                self._background_s += call.seconds
                self.background.ended(call.seconds)
            else:
                self._unet_s += call.seconds
            if self.costs.observe(call.key, call.rows, call.seconds):
                self._probes.ended(call.key, call.rows, call.seconds)

    def add_step(self, step_s: float, *, is_unet: bool, wants_background: bool) -> None:
        """A step of the loop took so long, with a UNet call or without; after `take_in`."""
        self.overhead.add_step(step_s=step_s, calls_s=self._unet_s + self._background_s)
        if is_unet:  # what the background took is no part of it
            self.background.stepped(step_s - self._background_s, is_wanted=wants_background)

    def calibrate(self) -> bool:
        """Make and time one call for the costs; False if there is none that is short enough."""
        self.take_in()
        for order in self._backend.examples():
            plan = self._backend.plan(order)
            rows = None if plan.key.background else self.costs.unmeasured(plan.key)
            if rows is not None:
                try:
                    trajectory, _ = self._backend.begin(order, plan)
                    self._backend.advance([trajectory], rows)
                except JobFailed as error:
                    log.warning("engine.calibration_failed", rows=rows, why=error.message)
                    self.costs.bound(plan.key, rows // 2)
                for call in self._backend.calls():  # no request's, of which probes take a share
                    self.costs.observe(call.key, call.rows, call.seconds)
                return True
        return False

    def paces(self) -> dict[str, Pace]:
        """What pictures of each resident model cost here, of those that were measured."""
        found = {}
        for order in self._backend.examples():
            plan = self._backend.plan(order)
            key = plan.key
            cheapest = self.costs.cheapest(key)
            if cheapest is None:
                continue
            rows, seconds = cheapest
            if key.background:  # by what its calls make
                each_s = seconds / key.area * 1e6
                found[key.model] = Pace(step_megapixel_s=each_s, images_at_once=1)
            else:
                found[order.request.model] = Pace(
                    step_megapixel_s=seconds * LONE_ROWS / rows / order.megapixels,
                    images_at_once=max(1, self.costs.cap(key) // plan.rows),
                    image_megapixel_s=self.overhead.image_megapixel_s,
                )
        return found
