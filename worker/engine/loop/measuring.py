"""What calls and pictures cost here, as the loop measures it."""

from typing import Generic

import structlog

from latentry.contracts.models import Pace
from latentry.errors import JobFailed
from worker.batching import LONE_ROWS, BatchKey, Costs, Overhead, Probes
from worker.engine.loop.backend import Backend, T

log = structlog.get_logger()


class Measuring(Generic[T]):
    """Learns from the calls that the backend has timed, and makes some for that when idle."""

    def __init__(self, backend: Backend[T], costs: Costs) -> None:
        self.overhead = Overhead()
        self._backend = backend
        self._costs = costs
        self._probes = Probes(costs)
        self.take_in()  # calls that tested the models

    def rows(self, key: BatchKey, rows: int) -> int:
        """How many rows to give a call that needs `rows`: as many, or seldom more as a probe."""
        return self._probes.next(key, rows)

    def take_in(self) -> float:
        """Take in the calls that have ended; their seconds."""
        calls = self._backend.calls()
        for call in calls:
            if self._costs.observe(call.key, call.rows, call.seconds):
                self._probes.ended(call.key, call.rows, call.seconds)
        return sum(call.seconds for call in calls)

    def calibrate(self) -> bool:
        """Make and time one call for the costs; False if there is none that is short enough."""
        self.take_in()
        for order in self._backend.examples():
            plan = self._backend.plan(order)
            rows = self._costs.unmeasured(plan.key)
            if rows is not None:
                try:
                    trajectory, _ = self._backend.begin(order, plan)
                    self._backend.advance([trajectory], rows)
                except JobFailed as error:
                    log.warning("engine.calibration_failed", rows=rows, why=error.message)
                    self._costs.bound(plan.key, rows // 2)
                for call in self._backend.calls():  # no request's, of which probes take a share
                    self._costs.observe(call.key, call.rows, call.seconds)
                return True
        return False

    def paces(self) -> dict[str, Pace]:
        """What pictures of each resident model cost here, of those that were measured."""
        found = {}
        for order in self._backend.examples():
            plan = self._backend.plan(order)
            key = plan.key
            cheapest = self._costs.cheapest(key)
            if cheapest is not None:
                rows, seconds = cheapest
                found[order.request.model] = Pace(
                    step_megapixel_s=seconds * LONE_ROWS / rows / order.megapixels,
                    images_at_once=max(1, self._costs.cap(key) // plan.rows),
                    image_megapixel_s=self.overhead.image_megapixel_s,
                )
        return found
