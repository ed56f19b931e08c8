"""The models and their queues, cached for a second."""

from dataclasses import dataclass
from time import monotonic
from typing import Final

from latentry.contracts import Model, ModelCard
from latentry.ledger import AsyncLedger, Queue, commands

FRESH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One model: its card, its live workers and its queue."""

    card: ModelCard
    workers: int
    waiting: int
    oldest_ms: int

    @property
    def model(self) -> Model:
        """The entry as an API object."""
        return Model(**self.card.model_dump(), workers=self.workers)


class Catalogue:
    """Reads all models from the ledger, at most once every FRESH_S seconds."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger
        self._entries: tuple[Entry, ...] = ()
        self._read_at = float("-inf")

    async def entries(self, *, knowing: str = "") -> tuple[Entry, ...]:
        """All models by id, at most FRESH_S old; read anew if the model `knowing` is missing.

        Raises LedgerUnavailable.
        """
        is_known = any(knowing in ("", entry.card.id) for entry in self._entries)
        if is_known and monotonic() - self._read_at < FRESH_S:
            return self._entries
        return await self.read()

    async def read(self) -> tuple[Entry, ...]:
        """All models by id, read from the ledger. Raises LedgerUnavailable."""
        queues = await self._ledger.run(commands.list_models())
        self._entries = tuple(sorted(map(_entry, queues), key=lambda entry: entry.card.id))
        self._read_at = monotonic()
        return self._entries


def _entry(queue: Queue) -> Entry:
    card = ModelCard.model_validate_json(queue.card)
    return Entry(card, queue.workers, queue.waiting, queue.oldest_ms)
