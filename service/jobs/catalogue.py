"""The models on offer, as the ledger had them a moment ago."""

from dataclasses import dataclass
from time import monotonic
from typing import Final

from latentry.contracts import Model, ModelCard
from latentry.ledger import AsyncLedger, Queue, commands

FRESH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One model: its card, who serves it, and what waits for it."""

    card: ModelCard
    workers: int
    waiting: int
    oldest_ms: int

    @property
    def model(self) -> Model:
        """The entry as clients see it."""
        return Model(**self.card.model_dump(), workers=self.workers)


class Catalogue:
    """Reads the ledger at most once a second, whoever asks."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger
        self._entries: tuple[Entry, ...] = ()
        self._read_at = float("-inf")

    async def entries(self, *, knowing: str = "") -> tuple[Entry, ...]:
        """All models by id, at most a second old, and newer if `knowing` is not among them yet.

        Raises LedgerUnavailable.
        """
        is_known = any(knowing in ("", entry.card.id) for entry in self._entries)
        if is_known and monotonic() - self._read_at < FRESH_S:
            return self._entries
        return await self.read()

    async def read(self) -> tuple[Entry, ...]:
        """All models by id, as they are now."""
        queues = await self._ledger.run(commands.queues())
        self._entries = tuple(sorted(map(_entry, queues), key=lambda entry: entry.card.id))
        self._read_at = monotonic()
        return self._entries


def _entry(queue: Queue) -> Entry:
    card = ModelCard.model_validate_json(queue.card)
    return Entry(card, queue.workers, queue.waiting, queue.oldest_ms)
