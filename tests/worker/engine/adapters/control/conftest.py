"""Tiny ControlNets for the oracle's families, loaded as a worker loads them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentry.contracts import Control, InputFile
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
    """A ControlNet as stock has it, and its file."""

    network: Any = field(repr=False)
    path: Path

    def control(self, seed: int = 5, **fields: Any) -> Control:
        file = FILE.model_copy(update={"pixel_sha256": str(seed)})
        return Control(id=self.path.stem, image=file, sha256=sha256_of(self.path), **fields)


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


Carve = Callable[..., Made]


@pytest.fixture(scope="session")
def carve(tmp_path_factory: pytest.TempPathFactory) -> Carve:
    """Makes a ControlNet for a stock UNet, in diffusers' single file."""

    def made(unet: Any, seed: int, **changes: Any) -> Made:
        net = written.network(unet, seed, **changes)
        path = tmp_path_factory.mktemp("nets") / f"net-{seed}.safetensors"
        return Made(net, written.save(written.diffusers_weights(net), path))

    return made
