"""IP-Adapters for the tiny models, and orders that have them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from latentry.contracts import ImagePrompt, InputFile
from tests import modes
from tests.worker.engine.adapters.ip_adapter import pasted
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.clip_picture import clip_picture
from worker.engine.loop import Order


@dataclass(frozen=True)
class Pasted:
    """A file with what it says; sha256: of it and its encoder."""

    path: Path
    sha256: str
    weights: pasted.Weights


@dataclass(frozen=True)
class Prompt:
    """A picture by the seed of its pixels, shown by a file with a weight."""

    made: Pasted
    picture: int = 1
    weight: float = 1.0


Paster = Callable[..., Pasted]


@pytest.fixture(scope="session")
def epsilon(folders: dict[str, Path]) -> Any:
    """The UNet of the model `epsilon`, as stock has it."""
    path = folders["epsilon"] / "unet"
    return UNet2DConditionModel.from_pretrained(path, low_cpu_mem_usage=False)


@pytest.fixture(scope="session")
def paster(epsilon: Any, loaded: Diffusion, tmp_path_factory: pytest.TempPathFactory) -> Paster:
    """Makes a file for that model; all of them have one encoder beside them."""
    folder = tmp_path_factory.mktemp("pasted")
    pasted.image_encoder(folder / "image_encoder")

    def made(seed: int, kind: str = "ip-adapter", *, times: float = 1.0) -> Pasted:
        weights = pasted.ip_adapter(epsilon, pasted.KINDS[kind], seed)
        for name in weights:
            if "to_v_ip" in name:
                weights[name] = weights[name] * times
        path = pasted.save(weights, folder / f"{kind}-{seed}.safetensors")
        return Pasted(path, loaded.adapters.inspect(path).sha256, weights)

    return made


def picture(seed: int) -> np.ndarray:
    return clip_picture(modes.pictures(seed)["image"])


def showing(shelf: Shelf, order: Order, *prompts: Prompt) -> Order:
    """The order with these image prompts, as a worker makes it."""
    named = tuple(
        ImagePrompt(
            id=one.made.path.stem,
            image=InputFile(file="f", pixel_sha256=str(one.picture), width=80, height=72),
            weight=one.weight,
            sha256=one.made.sha256,
        )
        for one in prompts
    )
    files = {one.made.sha256: one.made.path for one in prompts if one.weight}
    adapters: Mapping[str, Any] = shelf.load(order.request.model, files)
    pictures = {f"image_prompts/{k}/image": picture(p.picture) for k, p in enumerate(prompts)}
    return replace(
        order,
        request=order.request.model_copy(update={"image_prompts": named}),
        adapters={**order.adapters, **adapters},
        pictures=pictures,
    )
