"""The command that reads the catalogue."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import structlog

from latentry.contracts import Adapter
from latentry.ledger.catalogue import AnyEntry, CatalogueEntry, read_adapters, read_entry
from latentry.ledger.connection import Command

log = structlog.get_logger()


def list_models(
    known: Mapping[str, Sequence[Adapter]] = MappingProxyType({}),
) -> Command[list[AnyEntry]]:
    """The catalogue, each with its live workers and its queue.

    `known`: lists of adapters by their digests, which need not come again. Cards that this version
    cannot read, of newer workers, are left out and logged.
    """

    def read(answer: Sequence[Any]) -> list[AnyEntry]:
        rows, lists, held = answer
        adapters = {**known, **{digest: read_adapters(text) for digest, text in lists}}
        return list(_readable_entries(rows, adapters, dict(held)))

    return Command("gateway/list_models", tuple(known), read)


def _readable_entries(
    rows: Iterable[Any], adapters: Mapping[str, Sequence[Adapter]], held: Mapping[str, int]
) -> Iterator[AnyEntry]:
    for card, workers, waiting, oldest_ms, digest, differs in rows:
        try:
            entry = read_entry(card, workers, waiting, oldest_ms)
            if isinstance(entry, CatalogueEntry):
                entry = replace(entry, adapters_differ=bool(differs))
                if digest:
                    listed = tuple(adapters[digest])
                    entry = replace(entry, adapters=listed, digest=digest, held=held)
            yield entry
        except ValueError:  # one such card must not hide all others
            log.error("card.unreadable", begins=card[:80])
