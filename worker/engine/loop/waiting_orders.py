"""Where orders wait: for their model, then for a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

from latentry.errors import LatentryError
from worker.batching import LONE_ROWS, BatchKey, Costs, next_to_join, room
from worker.engine.loop.backend import Backend, Plan, T
from worker.engine.loop.messages import Event, Failed, Joined, Order


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived:
    """An order whose model may not be ready."""

    order: Order
    since: float
    goes_first: bool = False


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


class WaitingOrders(Generic[T]):
    """Every order that comes in goes on as a trajectory, fails, or is dropped."""

    def __init__(self, backend: Backend[T], costs: Costs) -> None:
        self._backend = backend
        self._costs = costs
        self._arrived: list[_Arrived] = []
        self._waiting: list[_Waiting] = []

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not (self._arrived or self._waiting)

    def room(self, stepping: Sequence[T]) -> int:
        """How many more orders could be used beside these."""
        return room(self._waiting, stepping, costs=self._costs) - len(self._arrived)

    def submit(self, order: Order, *, goes_first: bool = False) -> None:
        """Take an order; one that goes first has a row before all others that wait."""
        self._arrived.append(_Arrived(order, self._backend.now(), goes_first))

    def drop(self, job: str) -> list[Order]:
        """Let a job's orders go."""
        places: list[list[Any]] = [self._arrived, self._waiting]
        gone = []
        for place in places:
            for one in [one for one in place if one.order.job == job]:
                place.remove(one)
                gone.append(one.order)
        return gone

    def join(self, stepping: Sequence[T]) -> tuple[list[T], list[Event]]:
        """Those who begin now, beside these.

        Encoding their prompts may take as long as one call: the others come in at the next step.
        """
        events = self._plan()
        joined: list[T] = []
        began = self._backend.now()
        beside = [*stepping]
        while one := next_to_join(self._waiting, beside, costs=self._costs, now=began):
            if beside and self._backend.now() - began > self._costs.seconds(one.key, LONE_ROWS):
                break
            self._waiting.remove(one)
            try:
                trajectory, warnings = self._backend.begin(one.order, one.plan)
            except LatentryError as error:
                events.append(Failed(one.order.job, one.order.index, error))
                continue
            trajectory.since = one.since
            joined.append(trajectory)
            beside.append(trajectory)
            order, step = one.order, trajectory.step
            events.append(Joined(order.job, order.index, tuple(warnings), step))
        return joined, events

    def _plan(self) -> list[Event]:
        """Those whose model is ready by now can wait for a row; those who lost it wait for it."""
        lost = [one for one in self._waiting if not self._is_ready(one.key.model)]
        self._waiting = [one for one in self._waiting if one not in lost]
        self._arrived = [*(_Arrived(one.order, one.since) for one in lost), *self._arrived]
        events: list[Event] = []
        for one in list(self._arrived):
            try:
                if not self._backend.ready(one.order.request.model):
                    continue
                plan = self._backend.plan(one.order)
            except LatentryError as error:
                events.append(Failed(one.order.job, one.order.index, error))
            else:
                place = 0 if one.goes_first else len(self._waiting)
                self._waiting.insert(place, _Waiting(one.order, one.since, plan))
            self._arrived.remove(one)
        return events

    def _is_ready(self, model: str) -> bool:
        try:
            return self._backend.ready(model)
        except LatentryError:
            return False
