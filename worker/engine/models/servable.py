"""One model that may be asked for, in memory or not."""

from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

from worker.engine.models.blueprint import Blueprint

RETRY_S: Final = 60.0  # a model that did not load is left alone for so long
# Others may have a model's memory when it has drawn this many times as long as it took to load.
TURN: Final = 4
TURN_S: Final = 10.0


@dataclass(slots=True)
class Servable:
    """What is known of it. `users` are the trajectories that need it; times are in seconds."""

    blueprint: Blueprint
    size_bytes: int
    asked_at: float = 0.0
    since: float = 0.0
    load_s: float = 0.0
    users: WeakSet[Any] = field(default_factory=WeakSet)
    failed_at: float | None = None
    why: str = ""

    def entered(self, now: float, *, began: float) -> None:
        """It is in memory and proved."""
        self.since = self.asked_at = now
        self.load_s, self.failed_at = now - began, None

    def has_had_its_turn(self, now: float) -> bool:
        """Whether others may have its memory though it is still asked for."""
        return now - self.since >= max(TURN_S, TURN * self.load_s)

    def fail(self, now: float, why: str) -> None:
        """It did not load."""
        self.failed_at, self.why = now, f"The model {self.blueprint.card.id} did not load: {why}"

    def is_left_alone(self, now: float) -> bool:
        """Whether it failed so lately that trying again makes no sense."""
        return self.failed_at is not None and now - self.failed_at < RETRY_S
