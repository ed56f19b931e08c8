"""What readers make of a model once, as they look at many files for it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from worker.engine.models.blueprint import Blueprint

T = TypeVar("T")


class PerModel(Generic[T]):
    """Something of each model, made of its blueprint when it is first asked for. Thread-safe."""

    def __init__(self, make: Callable[[Blueprint], T]) -> None:
        self._make = make
        self._made: dict[str, tuple[Blueprint, T]] = {}
        self._lock = threading.Lock()

    def of(self, blueprint: Blueprint) -> T:
        """That of this model; made anew once the model was replaced."""
        with self._lock:
            made = self._made.get(blueprint.card.id)
            if made is None or made[0] is not blueprint:
                made = self._made[blueprint.card.id] = blueprint, self._make(blueprint)
            return made[1]
