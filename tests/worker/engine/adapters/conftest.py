"""Files for the tiny models, written once."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers.models.clip.modeling_clip import CLIPTextModel

from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.drawing import Made
from tests.worker.engine.adapters.written import Style
from tests.worker.engine.conftest import serving
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.unet.compiled import CompiledUNets

Tailor = Callable[..., Made]


@pytest.fixture(scope="session")
def tiny_networks(folders: dict[str, Path]) -> SimpleNamespace:
    """The networks of the model `epsilon`, as stock has them."""
    folder = folders["epsilon"]
    return SimpleNamespace(
        unet=UNet2DConditionModel.from_pretrained(folder / "unet", low_cpu_mem_usage=False),
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder"),
    )


@pytest.fixture(scope="session")
def tailor(tiny_networks: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Tailor:
    """Makes a kohya file for that model in a style."""

    def made(seed: int, *, times: float = 1.0, **style: Any) -> Made:
        found = written.terms(tiny_networks, Style(**style), seed)
        weights = written.kohya(found)
        for name, tensor in weights.items():
            if name.endswith("lora_up.weight"):
                weights[name] = tensor * torch.tensor(times)
        path = tmp_path_factory.mktemp("closet") / f"lora-{seed}.safetensors"
        written.save(weights, path)
        return Made(path, AdapterFile.read(path).sha256, written.deltas(found))

    return made


@pytest.fixture
def compiling(folders: dict[str, Path], tmp_path: Path) -> tuple[Diffusion, list[int]]:
    """The model `epsilon`, and a list that grows whenever a call of it would be compiled."""
    compiled: list[int] = []

    class Noted(CompiledUNets):
        def prepare(self, slot: Any, unet: Any) -> None:
            compiled.append(slot.calls)
            slot.calls += 1

    noted = Noted(tmp_path / "compiled")
    backend = serving({"epsilon": folders["epsilon"]}, compiled=noted)
    compiled.clear()
    return backend, compiled
