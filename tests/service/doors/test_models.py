"""`/v1/models`: what the catalogue says of a model."""

from itertools import product

import pytest
from httpx import AsyncClient
from pydantic import ValidationError
from structlog.testing import capture_logs

from latentry.contracts import CaptionerCard
from latentry.ledger import AsyncLedger, Ledger, commands
from latentry.ledger.catalogue import ADAPTERS_DIFFER, read_entry
from latentry.ledger.connection import Command
from latentry.settings import Settings
from service.jobs.catalogue import Catalogue
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker


async def test_a_models_warnings_are_in_the_list_and_in_its_own_answer(
    client: AsyncClient, ledger: Ledger
) -> None:
    warned = card("warned").model_copy(update={"warnings": ("Its scheduler is not known.",)})
    for one in (card("sound"), warned):
        ledger.run(commands.register_model(one))
    listed = (await client.get("/v1/models")).json()["data"]
    assert [one["warnings"] for one in listed] == [[], ["Its scheduler is not known."]]
    alone = (await client.get("/v1/models/warned")).json()
    assert alone["warnings"] == ["Its scheduler is not known."]


def test_a_card_that_an_older_worker_wrote_has_no_warnings() -> None:
    old = card().model_dump_json(exclude={"warnings"})
    assert read_entry(old, workers=1, waiting=0, oldest_ms=0).model.warnings == ()


async def test_a_card_that_a_newer_worker_wrote_hides_no_other(
    client: AsyncClient, worker: FakeWorker
) -> None:
    newer = card("newer").model_dump_json().replace('"ddim"', '"sampler_of_tomorrow"')
    with pytest.raises(ValidationError):
        read_entry(newer, workers=1, waiting=0, oldest_ms=0)
    worker.ledger.run(Command("worker/register_model", ("newer", newer), int))
    for path in ("/v1/models", "/v1/adapters", "/v1/upscalers"):
        assert (await client.get(path)).status_code == 200
    listed = (await client.get("/v1/models")).json()["data"]
    assert [one["id"] for one in listed] == ["shapes"]
    assert (await client.post("/v1/generations", json={"prompt": "a"})).status_code == 202


async def test_workers_with_different_captioners_are_logged_once(
    client: AsyncClient, ledger: Ledger, settings: Settings
) -> None:
    """Each writes its card with every heartbeat. One that replaces another is no fault."""
    opened = AsyncLedger.open(settings)
    catalogue = Catalogue(opened)

    async def read(*contents: str, names: str = "a") -> list[str]:
        with capture_logs() as logs:
            for content, name in product(contents, names):
                one = CaptionerCard(captioner=name, fingerprint=content, side=384)
                ledger.run(commands.heartbeat(content, [one.queue], ttl_s=60))
                ledger.run(commands.register_model(one))
                await catalogue.read()
        return [" ".join(one["captioners"]) for one in logs if one["event"] == "captioners.differ"]

    assert await read("1", names="aba") == [], "copies of one folder"
    assert await read("1", "2", "2") == []
    assert await read("1") == ["a 1 a 2"]
    assert await read("2", "1", "1", "2") == []
    await opened.close()


async def test_workers_with_different_adapters_are_a_warning_and_logged_when_it_lasts(
    client: AsyncClient,
    ledger: Ledger,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger.run(commands.register_model(card()))
    for worker, adapters in (("a", "1"), ("b", "2")):
        ledger.run(commands.heartbeat(worker, ["shapes"], ttl_s=60, adapters=adapters))
    [listed] = (await client.get("/v1/models")).json()["data"]
    assert listed["warnings"] == [ADAPTERS_DIFFER]
    opened = AsyncLedger.open(settings)
    catalogue = Catalogue(opened)
    with capture_logs() as logs:
        await catalogue.read()
    assert not logs
    monkeypatch.setattr("service.jobs.catalogue.DIFFER_S", 0.0)
    with capture_logs() as logs:
        for _ in range(2):
            await catalogue.read()
    assert [one["event"] for one in logs] == ["adapters.differ"]
    await opened.close()
