"""The tiny models, made once, and an engine that holds them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.engine import tiny
from worker.engine import Engine


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: tiny.make(root / name, config) for name, config in tiny.SCHEDULERS.items()}


@pytest.fixture(scope="session")
def loaded(folders: dict[str, Path]) -> Engine:
    # One thread: several would spin for each other on tensors this small.
    engine = Engine(device="cpu", threads=1)
    for name, folder in folders.items():
        engine.load(name, folder)
    return engine


@pytest.fixture
def engine(loaded: Engine) -> Engine:
    """An idle engine with its own loop; the weights are shared."""
    return sharing(loaded)


def sharing(loaded: Engine) -> Engine:
    fresh = Engine(device="cpu")
    fresh._stacks = dict(loaded._stacks)
    return fresh
