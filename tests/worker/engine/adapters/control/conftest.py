"""Tiny ControlNets and T2I-Adapters, loaded as a worker loads them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image

from latentry.contracts import AdapterKind, Control, InputFile
from tests.worker.engine import oracle, tiny
from tests.worker.engine.adapters.control import written
from worker.engine.adapters.network_file import NetworkFile, Reading
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.control import control_pictures
from worker.engine.loop import Order

FILE = InputFile(file="file_1", pixel_sha256="1", width=72, height=56)


def picture(seed: int) -> Any:
    """What is to be followed: RGB bytes [56, 72, 3]."""
    cells = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(cells).resize((72, 56), Image.Resampling.BICUBIC))


def sha256_of(path: Path) -> str:
    reading = Reading(NetworkFile.open(path))
    for _ in reading:
        pass
    return reading.sha256


@dataclass(frozen=True)
class Made:
    """A ControlNet or T2I-Adapter as stock has it, and its file."""

    network: Any = field(repr=False)
    path: Path

    def control(self, seed: int = 5, **fields: Any) -> Control:
        file = FILE.model_copy(update={"pixel_sha256": str(seed)})
        is_t2i = isinstance(self.network, T2IAdapter)
        kind = AdapterKind.T2I_ADAPTER if is_t2i else AdapterKind.CONTROLNET
        found = {"id": self.path.stem, "image": file, "sha256": sha256_of(self.path), "kind": kind}
        return Control(**(found | fields))


def controlled(backend: Diffusion, order: Order, *worn: tuple[Made, Control]) -> Order:
    """The order with these controls, loaded and shown as by a worker."""
    controls = tuple(control for _, control in worn)
    request = order.request.model_copy(update={"controls": (*order.request.controls, *controls)})
    files = {control.sha256: made.path for made, control in worn}
    shown = [
        control_pictures(one, picture(int(one.image.pixel_sha256)), request, order.canvas)
        for one in controls
    ]
    loaded = backend.adapters.load(request.model, files)
    return replace(
        order,
        request=request,
        adapters={**order.adapters, **loaded},
        controls=(*order.controls, *shown),
    )


# Models of three levels, as light T2I-Adapters and those of SDXL's middle have them.
_DEEP: dict[str, dict[str, Any]] = {
    "sd1-deep": {
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    },
    "sdxl-deep": {
        "attention_head_dim": (4, 8, 8),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 1, 2),
    },
}


@pytest.fixture(scope="session")
def three_levels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models by name, whose UNets have three levels."""
    found = {}
    for name, changes in _DEEP.items():
        family = tiny.Family(name.removesuffix("-deep"))
        folder = tmp_path_factory.mktemp("deep") / name
        tiny.make(folder, oracle.MODELS[f"{family}-epsilon"].config, family=family)
        config = dict(UNet2DConditionModel.load_config(folder / "unet"))
        torch.manual_seed(3)
        unet = UNet2DConditionModel.from_config(
            config | {"block_out_channels": (32, 64, 64)} | changes
        )
        unet.save_pretrained(folder / "unet")
        found[name] = folder
    return found


Carve = Callable[..., Made]


@pytest.fixture(scope="session")
def carve(tmp_path_factory: pytest.TempPathFactory) -> Carve:
    """Makes a ControlNet, or what `make` does, for a stock UNet, in diffusers' single file."""

    def made(unet: Any, seed: int, make: Any = written.network, **changes: Any) -> Made:
        net = make(unet, seed, **changes)
        path = tmp_path_factory.mktemp("nets") / f"net-{seed}.safetensors"
        return Made(net, written.save(written.diffusers_weights(net), path))

    return made
