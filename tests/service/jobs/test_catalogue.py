"""The catalogue is read from the ledger once in a while, however many ask."""

from typing import Any

import pytest

from latentry.ledger import AsyncLedger, Ledger, commands
from latentry.settings import Settings
from service.jobs import catalogue
from service.jobs.catalogue import Catalogue
from tests.latentry.ledger.factory import card


async def test_what_was_read_is_kept_but_for_a_model_that_is_new(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Any] = []
    listing = commands.list_models

    def counted(held: Any) -> Any:
        reads.append(held)
        return listing(held)

    monkeypatch.setattr(commands, "list_models", counted)
    monkeypatch.setattr(catalogue, "FRESH_S", 3600.0)
    asked = AsyncLedger.open(settings)
    known = Catalogue(asked)

    async def ids(including: str = "") -> list[str]:
        return [one.card.id for one in await known.entries(including=including)]

    ledger.run(commands.register_model(card("shapes")))
    assert [await ids(), await ids("shapes"), await ids()] == [["shapes"]] * 3
    assert len(reads) == 1
    ledger.run(commands.register_model(card("new")))
    assert await ids() == ["shapes"]
    assert await ids("new") == ["new", "shapes"]
    assert len(reads) == 2
    await asked.close()
