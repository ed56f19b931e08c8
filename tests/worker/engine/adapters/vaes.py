"""VAEs akin to a model's own, and how files have them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import save_file

from tests.worker.engine.models import published

Weights = Mapping[str, torch.Tensor]


def kin(own: Any, seed: int = 5, *, part: float = 0.2) -> AutoencoderKL:
    """A VAE as one trained from another: each weight is a `part` of its size away."""
    generator = torch.Generator().manual_seed(seed)
    found = AutoencoderKL.from_config(own.config)
    weights = {}
    for name, tensor in own.state_dict().items():
        size = part * (tensor.abs().mean() + 0.01)
        weights[name] = tensor + size * torch.randn(tensor.shape, generator=generator)
    found.load_state_dict(weights)
    return found.eval()


def stranger(own: Any) -> AutoencoderKL:
    """One of the same shapes that has nothing to do with it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(77)
        return AutoencoderKL.from_config(own.config).eval()


def as_published(vae: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    """Its weights under CompVis's names."""
    blocks = len(vae.config.block_out_channels)
    found = published.vae(dict(vae.state_dict()), blocks=blocks)
    return {f"{prefix}{name}": tensor for name, tensor in found.items()}


def write(path: Path, weights: Weights, dtype: torch.dtype = torch.float32) -> Path:
    """One file."""
    save_file({name: one.to(dtype).contiguous() for name, one in weights.items()}, path)
    return path


def write_folder(path: Path, vae: Any, **changes: Any) -> Path:
    """A folder as diffusers writes it, with this said otherwise in its config."""
    vae.save_pretrained(path)
    if changes:
        config = path / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    return path
