"""One running service for the tests that only ask it for pictures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from latentry.client import Client
from latentry.settings import Settings
from tests.e2e.processes import Stack
from tests.valkey import Valkey, free_port

SHAPES = Path(__file__).parents[2] / "models" / "shapes"


def settings_for(valkey: Valkey, folder: Path, prefix: str, **more: str) -> Settings:
    """A service of its own on free ports, with the bundled model."""
    variables = {
        "redis_url": valkey.url,
        "redis_prefix": prefix,
        "data_dir": str(folder),
        "port": str(free_port()),
        "metrics_port": "0",
        "worker_metrics_port": "0",
        "models": f"shapes={SHAPES}",
        "dtype": "float32",  # whatever the CPU
    } | more
    return Settings.from_env({f"LATENTRY_{k.upper()}": v for k, v in variables.items()})


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
