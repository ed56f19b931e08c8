"""One model that the worker serves: its state between files and the device's memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from weakref import WeakSet

from worker.engine.models.blueprint import Blueprint
from worker.engine.models.eviction import Occupant

RETRY_S: Final = 60.0  # a model that did not load is tried again after this long
# A model in constant demand drains for others when it has been resident this many times as long as
# it took to load, and at least for so many seconds.
TURN_LOADS: Final = 4
TURN_S: Final = 10.0


class Residency(StrEnum):
    """A model's state. Only `RESIDENT` takes new orders; `DRAINING` finishes those it has, and so
    does one that is `LEAVING`, whose files are gone or other ones.
    """

    ABSENT = "absent"
    WAITING = "waiting"  # for memory
    LOADING = "loading"
    RESIDENT = "resident"
    DRAINING = "draining"
    LEAVING = "leaving"
    FAILED = "failed"


_NEXT: Final[Mapping[Residency, frozenset[Residency]]] = {
    Residency.ABSENT: frozenset({Residency.WAITING, Residency.LOADING}),
    Residency.WAITING: frozenset({Residency.LOADING}),
    Residency.LOADING: frozenset(
        # Back to waiting: the device had less memory than the budget says.
        {Residency.RESIDENT, Residency.WAITING, Residency.ABSENT, Residency.FAILED}
    ),
    Residency.RESIDENT: frozenset({Residency.DRAINING, Residency.LEAVING, Residency.ABSENT}),
    Residency.DRAINING: frozenset({Residency.RESIDENT, Residency.LEAVING, Residency.ABSENT}),
    Residency.LEAVING: frozenset({Residency.ABSENT}),
    Residency.FAILED: frozenset({Residency.WAITING, Residency.LOADING}),
}


@dataclass(slots=True)
class ServedModel:
    """A model's residency and what decides about it.

    Times are readings of one clock in seconds: `needed_at`, when an order last needed it;
    `resident_at`, when it came into memory; `failed_at`, when it last did not load. `load_s`:
    seconds that its last loading took. `users`: the trajectories that need it in memory. Where its
    files were replaced, it `is_outdated`; `successor` is what they are now, if they are a model.
    """

    blueprint: Blueprint
    size_bytes: int
    state: Residency = Residency.ABSENT
    needed_at: float = 0.0
    resident_at: float = 0.0
    load_s: float = 0.0
    users: WeakSet[Any] = field(default_factory=WeakSet)
    failed_at: float = 0.0
    is_outdated: bool = False
    successor: Blueprint | None = None

    @property
    def id(self) -> str:
        """What requests call it."""
        return self.blueprint.card.id

    def become(self, state: Residency) -> None:
        """Change its state. Raises ValueError for a change that is not possible."""
        if state not in _NEXT[self.state]:
            raise ValueError(f"The model {self.id} cannot become {state}: it is {self.state}.")
        self.state = state

    def enter(self, now: float, *, began: float) -> None:
        """It is in memory and proved, after a loading that `began` then."""
        self.become(Residency.RESIDENT)
        self.resident_at = self.needed_at = now
        self.load_s = now - began

    def outdate(self, successor: Blueprint | None) -> None:
        """Its files are gone, or other ones. In memory it stays for those that draw with it."""
        self.successor, self.is_outdated = successor, True
        if self.state in (Residency.RESIDENT, Residency.DRAINING):
            self.become(Residency.LEAVING)

    @property
    def has_left(self) -> bool:
        """Whether nobody needs a model that is outdated, and nothing reads it."""
        if self.state is Residency.LEAVING:
            return not self.users
        return self.is_outdated and self.state is not Residency.LOADING

    def fail(self, now: float) -> None:
        """It did not load."""
        self.become(Residency.FAILED)
        self.failed_at = now

    def has_failed_lately(self, now: float) -> bool:
        """Whether it failed less than RETRY_S ago, so that it is not tried again yet."""
        return self.state is Residency.FAILED and now - self.failed_at < RETRY_S

    def has_had_its_turn(self, now: float) -> bool:
        """Whether others may have its memory although orders still need it."""
        return now - self.resident_at >= max(TURN_S, TURN_LOADS * self.load_s)

    def occupant(self, now: float, *, needed_since: float) -> Occupant:
        """A resident model as the eviction rule sees it.

        It is needed if an order needed it at `needed_since` or later: `ready` is called for each
        waiting order before every step.
        """
        is_draining = self.state in (Residency.DRAINING, Residency.LEAVING)
        is_needed = self.needed_at >= needed_since and not is_draining
        return Occupant(
            self.id,
            self.size_bytes,
            needed_at=self.needed_at,
            resident_at=self.resident_at,
            is_free=not self.users and not is_needed and not self.is_outdated,
            is_draining=is_draining,
            has_had_its_turn=self.has_had_its_turn(now),
        )
