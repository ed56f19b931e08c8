"""The catalogue: all that workers serve, each with its workers and its queue."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self, TypeAlias

import structlog
from pydantic import TypeAdapter, ValidationError

from latentry.contracts import (
    Adapter,
    CaptionerCard,
    Model,
    ModelCard,
    PreprocessorsCard,
    RegisteredCard,
    ServedUpscaler,
    UpscalerCard,
)

_Card: TypeAlias = RegisteredCard | UpscalerCard | PreprocessorsCard | CaptionerCard
_CARD: Final[TypeAdapter[_Card]] = TypeAdapter(_Card)

log = structlog.get_logger()

_ADAPTERS: Final[TypeAdapter[tuple[Adapter, ...]]] = TypeAdapter(tuple[Adapter, ...])


@dataclass(frozen=True, slots=True)
class ListedAdapters:
    """A list of adapters as the ledger keeps it, once for all models whose workers have it."""

    digest: str
    text: str

    @classmethod
    def of(cls, adapters: Sequence[Adapter]) -> Self:
        """Without any there is no list."""
        if not adapters:
            return cls("", "")
        text = _ADAPTERS.dump_json(tuple(adapters)).decode()
        return cls(hashlib.sha256(text.encode()).hexdigest(), text)


ADAPTERS_DIFFER: Final = (
    "Its workers have different adapters: a job may fail for one that its worker lacks."
)
NO_ADAPTERS: Final = ListedAdapters("", "")


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model's card, its live workers, how many jobs wait for it, and the age of the oldest.

    adapters: all that its workers have, also those that do not fit it; digest: of that list, if it
    has one. held: how many workers of any model have which adapter in memory, by SHA-256.
    adapters_differ: not all of its workers have the same, so which are listed is chance.
    """

    card: ModelCard
    workers: int
    waiting: int
    oldest_ms: int  # age; 0 if none waits
    adapters: tuple[Adapter, ...] = ()
    digest: str = ""
    held: Mapping[str, int] = field(default_factory=dict)
    adapters_differ: bool = False

    @property
    def model(self) -> Model:
        """The entry as an API object."""
        fields = self.card.model_dump(exclude={"adapters"})
        if self.adapters_differ:
            fields["warnings"] = (*fields["warnings"], ADAPTERS_DIFFER)
        return Model(**fields, workers=self.workers)


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


@dataclass(frozen=True, slots=True)
class PreprocessorsEntry:
    """The same of preprocessors."""

    card: PreprocessorsCard
    workers: int
    waiting: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class CaptionerEntry:
    """The same of the captioner."""

    card: CaptionerCard
    workers: int
    waiting: int
    oldest_ms: int


AnyEntry: TypeAlias = CatalogueEntry | UpscalerEntry | PreprocessorsEntry | CaptionerEntry


def read_entry(card: str, workers: int, waiting: int, oldest_ms: int) -> AnyEntry:
    """From one row that `list_models` returns. Raises ValueError for an unreadable card."""
    found = _read_card(card)
    if isinstance(found, UpscalerCard):
        return UpscalerEntry(found, workers, waiting, oldest_ms)
    if isinstance(found, PreprocessorsCard):
        return PreprocessorsEntry(found, workers, waiting, oldest_ms)
    if isinstance(found, CaptionerCard):
        return CaptionerEntry(found, workers, waiting, oldest_ms)
    return CatalogueEntry(found, workers, waiting, oldest_ms, found.adapters)


@lru_cache(maxsize=64)
def _read_card(card: str) -> _Card:
    """Cards change rarely, are read each second, and may name thousands of adapters."""
    return _CARD.validate_json(card)


def read_adapters(text: str) -> tuple[Adapter, ...]:
    """A list of adapters; none of one that this version cannot read, of a newer worker."""
    try:
        return _ADAPTERS.validate_json(text)
    except ValidationError:
        log.error("adapters.unreadable", begins=text[:80])
        return ()
