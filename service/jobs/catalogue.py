"""The ledger's catalogue of models and their queues, cached for a second."""

from collections.abc import Sequence
from time import monotonic
from typing import Final

from latentry.contracts import Adapter
from latentry.ledger import AsyncLedger, CatalogueEntry, commands

FRESH_S: Final = 1.0


class Catalogue:
    """Reads all models from the ledger, at most once every FRESH_S seconds."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger
        self._entries: tuple[CatalogueEntry, ...] = ()
        self._read_at = float("-inf")

    async def entries(self, *, including: str = "") -> tuple[CatalogueEntry, ...]:
        """All models by id, at most FRESH_S old; read anew if the model `including` is missing.

        Raises LedgerUnavailable.
        """
        is_known = any(including in ("", entry.card.id) for entry in self._entries)
        if is_known and monotonic() - self._read_at < FRESH_S:
            return self._entries
        return await self.read()

    async def read(self) -> tuple[CatalogueEntry, ...]:
        """All models by id, read from the ledger. Raises LedgerUnavailable."""
        entries = await self._ledger.run(commands.list_models())
        self._entries = tuple(sorted(entries, key=lambda entry: entry.card.id))
        self._read_at = monotonic()
        return self._entries


def adapters_of(entries: Sequence[CatalogueEntry]) -> list[Adapter]:
    """The adapters of all models' workers by id, each file once, with all models that it fits."""
    found: dict[tuple[str, str], Adapter] = {}
    for entry in entries:
        for one in entry.adapters:
            known = found.get((one.id, one.sha256), one)
            models = tuple(dict.fromkeys((*known.models, *one.models)))
            found[one.id, one.sha256] = known.model_copy(update={"models": models})
    return [found[key] for key in sorted(found)]
