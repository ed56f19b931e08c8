"""The gateway in this process, or in a thread behind a real socket, with a fake worker."""

import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI

from latentry.ledger import Ledger, commands
from latentry.settings import Settings
from latentry.storage import open_storage
from service.__main__ import bind, server
from service.app import create_app
from service.jobs import catalogue
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker
from tests.service.promised import Promised


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"public_url": "http://gateway"})


@pytest.fixture(autouse=True)
def _catalogue_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a card that a test changes is seen a second later, if a sweep has read the old one."""
    monkeypatch.setattr(catalogue, "FRESH_S", 0.0)


@pytest.fixture
def worker(ledger: Ledger, settings: Settings) -> FakeWorker:
    """A catalogued, live model and who serves it."""
    ledger.run(commands.register_model(card()))
    ledger.run(commands.heartbeat("fake", ["shapes"], ttl_s=60))
    return FakeWorker(ledger, open_storage(settings))


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    made = create_app(settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    # raise_app_exceptions stays on: an exception that leaves the app is a failed test.
    transport = httpx.ASGITransport(Promised(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as opened:
        yield opened


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """A gateway behind a real socket."""
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    own = settings.model_copy(update={"port": port, "public_url": ""})
    running = server(own)
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    yield own.base_url
    running.should_exit = True
    thread.join()
