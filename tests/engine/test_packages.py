"""Compiled UNets: taken up when they are ready, and never waited for."""

import dataclasses
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.engine import tiny
from worker.engine import Done, Engine
from worker.engine.diffusion import Diffusion
from worker.engine.packages import Packages

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


def use(backend: Diffusion, packages: Packages) -> None:
    backend._packages = packages
    backend._stacks["epsilon"] = dataclasses.replace(backend._stacks["epsilon"], compiled={})


def draw(backend: Diffusion, **asked: object) -> np.ndarray:
    engine = Engine(backend)
    engine.submit(tiny.order(**asked))
    while not engine.idle:
        for event in engine.step():
            if isinstance(event, Done):
                return event.pixels
    raise AssertionError("no picture")


def compiled(packages: Packages) -> None:
    """Wait for the compiler, whatever comes of it."""
    if packages._compiler is not None:
        packages._compiler[1].wait()


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Packages]:
    packages = Packages(tmp_path, compiler=[sys.executable, "-c", "raise SystemExit(3)"])
    yield packages
    packages.close()


def test_a_compiler_that_fails_is_not_tried_again_and_pictures_are_drawn_all_the_same(
    backend: Diffusion, failing: Packages
) -> None:
    eager = draw(backend)
    use(backend, failing)
    with capture_logs() as logs:
        for _ in range(3):
            assert np.array_equal(draw(backend), eager)
            compiled(failing)
    told = [log["event"] for log in logs]
    assert (told.count("compile.started"), told.count("compile.failed")) == (1, 1)


def test_a_package_that_does_not_load_is_removed(
    backend: Diffusion, failing: Packages, tmp_path: Path
) -> None:
    eager = draw(backend)
    use(backend, failing)
    draw(backend)
    (order,) = tmp_path.glob("*.json")
    package = order.with_suffix(".pt2")
    package.write_bytes(b"not a package")
    use(backend, Packages(tmp_path, compiler=["false"]))
    assert np.array_equal(draw(backend), eager)
    assert not package.exists()


def test_strict_calls_ask_for_no_package(
    backend: Diffusion, failing: Packages, tmp_path: Path
) -> None:
    use(backend, failing)
    draw(backend, determinism="strict")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.oracle  # the compiler takes half a minute
@needs_compiler
def test_a_compiled_call_draws_what_an_eager_one_does_and_serves_the_next_start(
    backend: Diffusion, tmp_path: Path
) -> None:
    eager = draw(backend).astype(int)
    first = Packages(tmp_path)
    use(backend, first)
    draw(backend)
    compiled(first)
    for packages in (first, Packages(tmp_path)):
        use(backend, packages)
        difference = np.abs(draw(backend).astype(int) - eager)
        assert difference.max() <= 4  # of a model whose random weights magnify the last bits
        assert difference.mean() < 0.05
        assert list(backend._stacks["epsilon"].compiled) == [(8, 8, 77)]
