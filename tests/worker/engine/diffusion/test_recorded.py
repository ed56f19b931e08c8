"""Strict pictures that were recorded once keep their bits, whatever is rebuilt around them."""

import json
from collections.abc import Iterator

import pytest
import torch

from tools import record_strict

RECORDED = json.loads(record_strict.FILE.read_text())


@pytest.fixture
def _threads() -> Iterator[None]:
    """The backend sets the number of threads for the whole process; put it back afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
def test_recorded_strict_pictures_keep_their_bits() -> None:
    backend = record_strict.backend()
    here = record_strict.environment(backend)
    differs = {name for name, value in RECORDED["environment"].items() if here[name] != value}
    if differs:
        pytest.skip(f"recorded under another profile: {', '.join(sorted(differs))}")
    expected = {one["pixel_sha256"]: one["request"] for one in RECORDED["pictures"]}
    drawn = set(record_strict.draw(backend, list(expected.values())))
    assert len(expected) == 10
    assert [expected[sha256] for sha256 in expected.keys() - drawn] == []
