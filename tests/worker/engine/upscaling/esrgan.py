"""ESRGAN files in the layout in which Real-ESRGAN's were published, with weights of our own."""

from pathlib import Path

import torch
from safetensors.torch import save_file

GROWTH = 32  # of a dense block, as in every published file


def shapes(features: int, blocks: int) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of each 3 × 3 convolution."""
    found = {"conv_first": (features, 3)}
    for block in range(blocks):
        for dense in (1, 2, 3):
            for conv in range(1, 6):
                out = features if conv == 5 else GROWTH
                name = f"body.{block}.rdb{dense}.conv{conv}"
                found[name] = (out, features + (conv - 1) * GROWTH)
    plain = ("conv_body", "conv_up1", "conv_up2", "conv_hr")
    return found | dict.fromkeys(plain, (features, features)) | {"conv_last": (3, features)}


def random_weights(*, features: int = 16, blocks: int = 2, seed: int = 0) -> dict:
    """As an untrained network has them, about as loud as a trained one."""
    generator, weights = torch.Generator().manual_seed(seed), {}
    for name, (out, into) in shapes(features, blocks).items():
        scale = (1.0 / (9 * into)) ** 0.5
        weights[f"{name}.weight"] = torch.randn(out, into, 3, 3, generator=generator) * scale
        weights[f"{name}.bias"] = torch.full((out,), 0.1)
    return weights


def repeating_weights() -> dict:
    """A network that makes 4 × 4 pixels of each: its convolutions pass three channels on."""
    weights = {}
    for name, (out, into) in shapes(3, 1).items():
        weight = torch.zeros(out, into, 3, 3)
        if not name.startswith("body") and name != "conv_body":
            weight[:, :, 1, 1] = torch.eye(3)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = weight, torch.zeros(out)
    return weights


def write(file: Path, weights: dict) -> Path:
    save_file(weights, file)
    return file
