"""A storage in memory, and a worker that runs."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from latentry.ledger import Ledger
from latentry.settings import Settings
from latentry.storage import Storage, open_storage
from tests.worker.harness import Worker


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(
        settings.model_copy(update={"storage_url": "memory://", "signing_key": SecretStr("k")})
    )


@pytest.fixture
def worker(ledger: Ledger, storage: Storage) -> Iterator[Worker]:
    worker = Worker(ledger, storage)
    worker.start()
    yield worker
    worker.stop()
