"""The LoRAs of trace *loras*, written as kohya-ss's and LyCORIS' trainers write them."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from benchmarks.contenders.stock import SHAPES

RANKS: Final = (8, 16, 24, 32, 8, 16, 24, 32)
WITH_CONVOLUTIONS: Final = frozenset({2, 5})  # by their places in RANKS
NAMES: Final = tuple(f"lora_{number}" for number in range(len(RANKS)))
ONE: Final = NAMES[1]  # that all have where all have one; of linear layers alone
_SIZE: Final = 0.01  # how much an output changes, roughly


def write(folder: Path) -> None:
    """One file for each name, fp16: random small weights of the bundled model's UNet."""
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(SHAPES / "unet"))
    for number, (name, rank) in enumerate(zip(NAMES, RANKS, strict=True)):
        generator = torch.Generator().manual_seed(number)
        weights: dict[str, torch.Tensor] = {}
        for path, module in _layers(unet, convolutions=number in WITH_CONVOLUTIONS):
            out, into, *kernel = module.weight.shape
            down = torch.randn(rank, into, *kernel, generator=generator)
            up = torch.randn(out, rank, *[1] * len(kernel), generator=generator)
            layer = f"lora_unet_{path.replace('.', '_')}"
            weights[f"{layer}.lora_down.weight"] = down.half() / math.sqrt(down[0].numel())
            weights[f"{layer}.lora_up.weight"] = up.half() * (_SIZE / math.sqrt(rank))
            weights[f"{layer}.alpha"] = torch.tensor(float(rank))
        save_file(weights, folder / f"{name}.safetensors")


def _layers(unet: Any, *, convolutions: bool) -> Iterator[tuple[str, Any]]:
    """All linear layers of attention and feed-forward; with convolutions also all of the blocks."""
    for path, module in unet.named_modules():
        is_linear = isinstance(module, torch.nn.Linear) and ".transformer_blocks." in path
        is_convolution = isinstance(module, torch.nn.Conv2d) and "_block" in path
        if is_linear or (convolutions and is_convolution):
            yield path, module
