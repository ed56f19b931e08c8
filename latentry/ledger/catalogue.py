"""The catalogue: all models that workers registered, each with its workers and its queue."""

from dataclasses import dataclass
from typing import Self

from latentry.contracts import Adapter, Model, ModelCard, RegisteredCard


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model's card, its live workers, how many jobs wait for it, and the age of the oldest.

    adapters: all that its workers have, also those that do not fit it.
    """

    card: ModelCard
    workers: int
    waiting: int
    oldest_ms: int  # age; 0 if none waits
    adapters: tuple[Adapter, ...] = ()

    @property
    def model(self) -> Model:
        """The entry as an API object."""
        return Model(**self.card.model_dump(exclude={"adapters"}), workers=self.workers)

    @classmethod
    def read(cls, card: str, workers: int, waiting: int, oldest_ms: int) -> Self:
        """From one row that `list_models` returns. Raises ValueError for an unreadable card."""
        found = RegisteredCard.model_validate_json(card)
        return cls(found, workers, waiting, oldest_ms, found.adapters)
