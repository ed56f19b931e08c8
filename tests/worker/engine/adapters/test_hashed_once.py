"""Adapters' files are hashed when they are new or have changed, and not whenever models change."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.control import written as controls
from worker.engine.adapters import file, network_file
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion


class Counting:
    """Hashlib, or one of its hashes, whose bytes are counted together."""

    def __init__(self, made: Any = hashlib, count: Callable[[int], None] | None = None) -> None:
        self.bytes = 0
        self._made = made
        self._count = count or self._add

    def _add(self, count: int) -> None:
        self.bytes += count

    def sha256(self, data: bytes = b"") -> "Counting":
        self._count(len(data))
        return Counting(self._made.sha256(data), self._count)

    def update(self, data: bytes) -> None:
        self._count(len(data))
        self._made.update(data)

    def copy(self) -> "Counting":
        return Counting(self._made.copy(), self._count)

    def hexdigest(self) -> str:
        return str(self._made.hexdigest())


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()
    for module in (file, network_file):
        monkeypatch.setattr(module, "hashlib", counting)
    return counting


@pytest.fixture(params=["lora", "controlnet"])
def path(
    request: pytest.FixtureRequest, tailor: Tailor, folders: dict[str, Path], tmp_path: Path
) -> Path:
    if request.param == "lora":
        return tailor(1).path.rename(tmp_path / "ink.safetensors")
    unet = UNet2DConditionModel.from_pretrained(
        folders["epsilon"] / "unet", low_cpu_mem_usage=False
    )
    net = controls.network(unet, 1)
    return controls.save(controls.diffusers_weights(net), tmp_path / "net.safetensors")


def test_a_file_is_hashed_once_and_what_it_fits_is_found_anew(
    loaded: Diffusion, path: Path, hashed: Counting
) -> None:
    blueprints = loaded._residents.blueprints
    models = {"epsilon": blueprints["epsilon"]}
    shelf = Shelf(loaded.at, lambda: models, 2**30)
    before = shelf.inspect(path)
    assert (before.models, hashed.bytes >= path.stat().st_size) == (("epsilon",), True)
    models, hashed.bytes = {"another": blueprints["epsilon"]}, 0
    assert shelf.inspect(path) == before.model_copy(update={"models": ("another",)})
    assert hashed.bytes == 0
    assert set(shelf.load("another", {before.sha256: path})) == {before.sha256}
    assert hashed.bytes >= path.stat().st_size, "what is loaded is what was named"
    hashed.bytes = 0
    path.write_bytes(path.read_bytes())
    assert shelf.inspect(path).sha256 == before.sha256
    assert hashed.bytes >= path.stat().st_size, "it may be another one now"
