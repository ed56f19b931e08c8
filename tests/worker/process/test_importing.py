"""Garbage is collected before and after libraries are imported, not meanwhile."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from worker.process.importing import importing


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_was_imported_is_not_looked_at_again() -> None:
    with importing():
        assert not gc.isenabled()
        left: list[object] = []
        left.append(left)
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(one is left for one in gc.get_objects())


def test_garbage_is_collected_again_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


def test_a_worker_imports_what_draws_without_collections() -> None:
    code = """
import gc
from latentry.settings import Settings
from worker import backends
counted = []
gc.callbacks.append(lambda phase, info: counted.append(phase))
backends._diffusion(Settings(models="a=b", device="cpu"))
print(len(counted))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(ran.stdout) < 100, "a thousand otherwise"
