"""One model that the worker serves: where it stands between its files and the device's memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from weakref import WeakSet

from worker.engine.models.blueprint import Blueprint
from worker.engine.models.eviction import Occupant

RETRY_S: Final = 60.0  # a model that did not load is tried again after this long
# A model in constant demand gives way when it has been resident this many times as long as it took
# to load, and at least for so many seconds.
TURN_LOADS: Final = 4
TURN_S: Final = 10.0


class Residency(StrEnum):
    """Where a model stands. Only `RESIDENT` takes new orders; `DRAINING` ends those it has."""

    ABSENT = "absent"
    WAITING = "waiting"  # for memory
    LOADING = "loading"
    RESIDENT = "resident"
    DRAINING = "draining"
    FAILED = "failed"


_NEXT: Final[Mapping[Residency, frozenset[Residency]]] = {
    Residency.ABSENT: frozenset({Residency.WAITING, Residency.LOADING}),
    Residency.WAITING: frozenset({Residency.LOADING}),
    Residency.LOADING: frozenset(
        # Back to waiting: the device had less memory than the budget says.
        {Residency.RESIDENT, Residency.WAITING, Residency.ABSENT, Residency.FAILED}
    ),
    Residency.RESIDENT: frozenset({Residency.DRAINING, Residency.ABSENT}),
    Residency.DRAINING: frozenset({Residency.RESIDENT, Residency.ABSENT}),
    Residency.FAILED: frozenset({Residency.WAITING, Residency.LOADING}),
}


@dataclass(slots=True)
class ServedModel:
    """A model's residency and what decides about it.

    Times are readings of one clock in seconds: `asked_at`, when an order last asked for it;
    `resident_at`, when it came into memory; `failed_at`, when it last did not load. `load_s`:
    seconds that its last loading took. `users`: the trajectories that need it in memory.
    """

    blueprint: Blueprint
    size_bytes: int
    state: Residency = Residency.ABSENT
    asked_at: float = 0.0
    resident_at: float = 0.0
    load_s: float = 0.0
    users: WeakSet[Any] = field(default_factory=WeakSet)
    failed_at: float = 0.0
    failure: str = ""

    @property
    def id(self) -> str:
        """What requests call it."""
        return self.blueprint.card.id

    @property
    def is_resident(self) -> bool:
        """Whether its weights are in memory, and proved."""
        return self.state in (Residency.RESIDENT, Residency.DRAINING)

    def become(self, state: Residency) -> None:
        """Change its state. Raises ValueError for a step that makes no sense."""
        if state not in _NEXT[self.state]:
            raise ValueError(f"The model {self.id} cannot become {state}: it is {self.state}.")
        self.state = state

    def enter(self, now: float, *, began: float) -> None:
        """It is in memory and proved, after a loading that `began` then."""
        self.become(Residency.RESIDENT)
        self.resident_at = self.asked_at = now
        self.load_s = now - began

    def fail(self, now: float, why: str) -> None:
        """It did not load."""
        self.become(Residency.FAILED)
        self.failed_at, self.failure = now, f"The model {self.id} did not load: {why}"

    def has_failed_lately(self, now: float) -> bool:
        """Whether it failed less than RETRY_S ago, so that trying again makes no sense yet."""
        return self.state is Residency.FAILED and now - self.failed_at < RETRY_S

    def has_had_its_turn(self, now: float) -> bool:
        """Whether others may have its memory though it is still asked for."""
        return now - self.resident_at >= max(TURN_S, TURN_LOADS * self.load_s)

    def occupant(self, now: float, *, asked_since: float) -> Occupant:
        """A resident model as the eviction rule sees it.

        An order waits for it if one asked `asked_since` or later: each asks before every step.
        """
        is_draining = self.state is Residency.DRAINING
        is_asked_for = self.asked_at >= asked_since and not is_draining
        return Occupant(
            self.id,
            self.size_bytes,
            asked_at=self.asked_at,
            resident_at=self.resident_at,
            is_free=not self.users and not is_asked_for,
            is_draining=is_draining,
            has_had_its_turn=self.has_had_its_turn(now),
        )
