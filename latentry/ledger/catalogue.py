"""The catalogue: all models and upscalers of workers, each with its workers and its queue."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydantic import TypeAdapter

from latentry.contracts import (
    Adapter,
    Model,
    ModelCard,
    RegisteredCard,
    ServedUpscaler,
    UpscalerCard,
)

_CARD: Final[TypeAdapter[RegisteredCard | UpscalerCard]] = TypeAdapter(
    RegisteredCard | UpscalerCard
)


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


@dataclass(frozen=True, slots=True)
class UpscalerEntry:
    """The same of an upscaler."""

    card: UpscalerCard
    workers: int
    waiting: int
    oldest_ms: int

    @property
    def upscaler(self) -> ServedUpscaler:
        """The entry as an API object."""
        return ServedUpscaler(**self.card.model_dump(), workers=self.workers)


def read_entry(
    card: str, workers: int, waiting: int, oldest_ms: int
) -> CatalogueEntry | UpscalerEntry:
    """From one row that `list_models` returns. Raises ValueError for an unreadable card."""
    found = _read_card(card)
    if isinstance(found, UpscalerCard):
        return UpscalerEntry(found, workers, waiting, oldest_ms)
    return CatalogueEntry(found, workers, waiting, oldest_ms, found.adapters)


@lru_cache(maxsize=64)
def _read_card(card: str) -> RegisteredCard | UpscalerCard:
    """Cards change rarely, are read each second, and may name thousands of adapters."""
    return _CARD.validate_json(card)
