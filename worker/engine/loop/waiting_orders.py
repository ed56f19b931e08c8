"""Where orders wait: for their model, then for a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic

import structlog

from latentry.contracts import JobWarning
from latentry.errors import InvalidPrompt, LatentryError
from worker.batching import LONE_ROWS, BatchKey, Costs, next_to_join, room
from worker.engine.loop.backend import Backend, Plan, T
from worker.engine.loop.calls import failed
from worker.engine.loop.intermediates import are_stored
from worker.engine.loop.messages import Event, Joined, Order

log = structlog.get_logger()

MOST_IN_BACKGROUND: Final = 2  # at once: each holds a picture and what is made of it


@dataclass(slots=True, eq=False)
class _Waiting:
    """An order that is not begun; without a plan while its model is not ready.

    since: when it arrived, in seconds on the backend's clock.
    """

    order: Order
    since: float
    goes_first: bool = False
    plan: Plan | None = None

    @property
    def key(self) -> BatchKey:
        assert self.plan is not None, "its model is ready"
        return self.plan.key

    @property
    def rows(self) -> int:
        assert self.plan is not None, "its model is ready"
        return self.plan.rows


class WaitingOrders(Generic[T]):
    """Every order that comes in goes on as a trajectory, fails, or is dropped."""

    def __init__(self, backend: Backend[T], costs: Costs) -> None:
        self._backend = backend
        self._costs = costs
        self._for_model: list[_Waiting] = []
        self._for_row: list[_Waiting] = []

    @property
    def is_empty(self) -> bool:
        """Whether no order waits."""
        return not (self._for_model or self._for_row)

    @property
    def orders(self) -> list[Order]:
        """All that wait."""
        return [one.order for one in (*self._for_model, *self._for_row)]

    def room(self, stepping: Sequence[T]) -> int:
        """How many more orders could be used beside these, besides those of the background."""
        waiting = [one for one in self._for_row if not one.key.background]
        return room(waiting, _foreground(stepping), costs=self._costs) - sum(
            not one.order.is_background for one in self._for_model
        )

    def background_room(self, stepping: Sequence[T]) -> int:
        """How many more of the background: one waits beside those that are made."""
        orders = [*self.orders, *(one.order for one in stepping)]
        return MOST_IN_BACKGROUND + 1 - sum(one.is_background for one in orders)

    def submit(self, order: Order, *, goes_first: bool = False) -> None:
        """Take an order; one that goes first gets a row before all others that wait."""
        self._for_model.append(_Waiting(order, self._backend.now(), goes_first))

    def drop(self, job: str) -> list[Order]:
        """Remove a job's orders; those that were removed."""
        dropped = [one for one in (*self._for_model, *self._for_row) if one.order.job == job]
        self._for_model = [one for one in self._for_model if one not in dropped]
        self._for_row = [one for one in self._for_row if one not in dropped]
        return [one.order for one in dropped]

    def join(self, stepping: Sequence[T]) -> tuple[list[T], list[Event]]:
        """Trajectories that begin now, beside these, and the events of orders that left the queue.

        Encoding their prompts may take as long as one call: the others begin at the next step.
        """
        self._send_back()
        events = self._plan()
        joined: list[T] = []
        began = self._backend.now()
        beside = [*stepping]
        while one := self._next(beside, began):
            is_late = self._backend.now() - began > self._costs.seconds(one.key, LONE_ROWS)
            if beside and is_late:
                break
            self._for_row.remove(one)
            try:
                assert one.plan is not None, "its model is ready"
                trajectory, warnings = self._begin(one.order, one.plan)
            except LatentryError as error:
                events.append(failed(one.order, error))
                continue
            trajectory.since = one.since
            joined.append(trajectory)
            beside.append(trajectory)
            order, step = one.order, trajectory.step
            events.append(Joined(order.job, order.index, tuple(warnings), step))
        return joined, events

    def _next(self, beside: Sequence[T], now: float) -> _Waiting | None:
        """Which order begins next; those of the background in their order, a few at once."""
        waiting = [one for one in self._for_row if not one.key.background]
        if one := next_to_join(waiting, _foreground(beside), costs=self._costs, now=now):
            return one
        if sum(one.key.background for one in beside) >= MOST_IN_BACKGROUND:
            return None
        return next((one for one in self._for_row if one.key.background), None)

    def _begin(self, order: Order, plan: Plan) -> tuple[T, list[JobWarning]]:
        """From its checkpoint, or from the start if steps to be stored were lost since then."""
        trajectory, warnings = self._backend.begin(order, plan)
        # What the last whole step shows is in the checkpoint, unless it was taken within the next.
        lost_from = trajectory.step if trajectory.has_stepped else trajectory.step + 1
        if order.checkpoint is not None and not are_stored(order, before=lost_from):
            log.info("checkpoint.intermediates_lost", job=order.job, step=trajectory.step)
            return self._backend.begin(replace(order, checkpoint=None), plan)
        return trajectory, warnings

    def _send_back(self) -> None:
        """Orders whose model was evicted wait for it again, before the others."""
        lost = [one for one in self._for_row if not self._is_ready(one.order)]
        self._for_row = [one for one in self._for_row if one not in lost]
        for one in lost:
            one.plan, one.goes_first = None, False
        self._for_model = [*lost, *self._for_model]

    def _plan(self) -> list[Event]:
        """Orders whose model is ready by now wait for a row."""
        events: list[Event] = []
        for one in list(self._for_model):
            try:
                if not self._backend.ready(*one.order.request.models):
                    continue
                one.plan = self._backend.plan(one.order)
                _refuse_more_rows(one.plan.rows, self._costs.max_rows)
            except LatentryError as error:
                events.append(failed(one.order, error))
            else:
                self._for_row.insert(0 if one.goes_first else len(self._for_row), one)
            self._for_model.remove(one)
        return events

    def _is_ready(self, order: Order) -> bool:
        try:
            return self._backend.ready(*order.request.models)
        except LatentryError:
            return False


def _foreground(members: Sequence[T]) -> list[T]:
    return [one for one in members if not one.key.background]


def _refuse_more_rows(needed: int, most: int) -> None:
    if needed > most:
        why = f"It takes {needed} rows of a UNet call, of which this worker makes {most} at most."
        raise InvalidPrompt(why, fields={"/prompt": f"{why} Use fewer ANDs."})
