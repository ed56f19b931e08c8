"""The tiny models, made once, and an engine that holds them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.modes import SPECIAL
from tests.worker.engine import oracle, tiny
from tests.worker.engine.stock import Stock
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: tiny.make(root / name, config) for name, config in tiny.SCHEDULERS.items()}


@pytest.fixture(scope="session")
def loaded(folders: dict[str, Path]) -> Diffusion:
    return serving(folders)


@pytest.fixture
def backend(loaded: Diffusion) -> Diffusion:
    """A backend of one's own; the weights are shared."""
    return sharing(loaded)


@pytest.fixture
def engine(backend: Diffusion) -> Engine:
    """An idle engine that knows no costs yet."""
    return Engine(backend)


@pytest.fixture(scope="session")
def every_folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return oracle.make_folders(tmp_path_factory.mktemp("every_model"))


@pytest.fixture(scope="session")
def every_model(every_folder: dict[str, Path]) -> Diffusion:
    """A backend with a model of every family and prediction."""
    return serving(every_folder)


@pytest.fixture(scope="session")
def reference(every_folder: dict[str, Path]) -> Stock:
    """The stock pipelines of the same models."""
    return Stock(every_folder, {name: model.config for name, model in oracle.MODELS.items()})


@pytest.fixture(scope="session")
def special_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of the modes that need a UNet of their own, by name."""
    root = tmp_path_factory.mktemp("special")
    return {
        name: tiny.make(root / name, tiny.EPSILON, channels=channels)
        for channels, name in SPECIAL.items()
    }


def serving(folders: Mapping[str, Path], **more: Any) -> Diffusion:
    """A backend of these models by name, with one thread: several would spin for each other."""
    backend = Diffusion(device="cpu", dtype="float32", threads=1, **more)
    for name, folder in folders.items():
        backend.load(name, folder)
    return backend


def sharing(loaded: Diffusion) -> Diffusion:
    fresh = Diffusion(device="cpu", dtype="float32")
    for name, model in loaded.models.items():
        fresh.adopt(name, model)
    return fresh
