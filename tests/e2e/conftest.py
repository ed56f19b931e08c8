"""One running service for the tests that only ask it for pictures."""

from collections.abc import Iterator

import pytest

from latentry.client import Client
from tests.e2e.adapted import adapted, bundled, embeddings, gallery, loras, merged
from tests.e2e.processes import SHAPES, Stack, settings_for
from tests.valkey import Valkey

__all__ = ["SHAPES", "adapted", "bundled", "embeddings", "gallery", "loras", "merged"]
__all__ += ["settings_for"]


@pytest.fixture(scope="session")
def stack(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway and one worker, on one thread: other tests run beside."""
    folder = tmp_path_factory.mktemp("e2e")
    models = "shapes=models/shapes"  # as it is by default, which brings the bundled adapters
    with Stack(settings_for(valkey, folder, "e2e", threads="1", models=models)) as running:
        running.start_worker()
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """The SDK, pointed at it."""
    with Client(stack.url) as client:
        yield client
