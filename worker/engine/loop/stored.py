"""A backend whose models are files, which come and go."""

from pathlib import Path
from typing import Protocol

from latentry.contracts import ModelCard
from worker.engine.loop.backend import ServedBackend, T


class ModelReader(Protocol):
    """Reads what models' files say. Called from a thread beside that of the steps."""

    def read(self, model: str, path: Path) -> tuple[ModelCard, object]:
        """A model's card, and its blueprint for `change_model`. Raises ConfigurationError."""


class StoredBackend(ServedBackend[T], Protocol[T]):
    """One that serves what its `reader` has read."""

    @property
    def reader(self) -> ModelReader:
        """What reads them."""
