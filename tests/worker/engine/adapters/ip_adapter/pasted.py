"""IP-Adapter files and image encoders with random weights, in the layout of h94/IP-Adapter.

Made by stock's own modules: what they are called in a published file is written down here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.embeddings import (
    ImageProjection,
    IPAdapterFullImageProjection,
    IPAdapterPlusImageProjection,
)
from safetensors.torch import save_file
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

Weights = dict[str, torch.Tensor]
EMBEDDING, HIDDEN = 24, 40  # widths of the tiny encoder


@dataclass(frozen=True, slots=True)
class Kind:
    """A published file's layout, and how many tokens it makes of a picture."""

    layout: str
    tokens: int = 4


KINDS = {"ip-adapter": Kind("plain"), "ip-adapter-plus": Kind("plus", 5), "full": Kind("full", 17)}


def image_encoder(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A folder as `image_encoder` in h94/IP-Adapter: 16 patches, and pictures of 224 pixels."""
    config = {
        "hidden_size": HIDDEN, "intermediate_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "image_size": 224, "patch_size": 56, "projection_dim": EMBEDDING,
        "hidden_act": "gelu", "layer_norm_eps": 1e-5,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CLIPVisionModelWithProjection(CLIPVisionConfig(**(config | changes)))
    for weight in network.parameters():  # as random ones say hardly anything of a picture
        weight.data *= 3 if weight.ndim > 1 else 1
    network.save_pretrained(folder)
    return folder


def ip_adapter(unet: Any, kind: Kind, seed: int) -> Weights:
    """A file's weights for a UNet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = {f"image_proj.{n}": t for n, t in _projection(unet, kind).items()}
        for number, name in enumerate(unet.attn_processors):
            if not name.endswith("attn2.processor"):
                continue
            module = unet.get_submodule(name.removesuffix(".processor"))
            for part in "kv":
                like = module.to_k.weight
                found = torch.randn(like.shape) / like.shape[1] ** 0.5
                weights[f"ip_adapter.{number}.to_{part}_ip.weight"] = found
    return weights


def save(weights: Mapping[str, torch.Tensor], file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.detach().contiguous().clone() for name, t in weights.items()}, file)
    return file


def _projection(unet: Any, kind: Kind) -> Weights:
    width = unet.config.cross_attention_dim
    module: Any
    if kind.layout == "plain":
        module = ImageProjection(EMBEDDING, width, kind.tokens)
        return {n.replace("image_embeds", "proj"): t for n, t in _weights(module).items()}
    if kind.layout == "full":
        module = IPAdapterFullImageProjection(HIDDEN, width)
        names = {"ff.net.0.proj": "proj.0", "ff.net.2": "proj.2", "norm": "proj.3"}
        return {
            next(n.replace(old, new) for old, new in names.items() if n.startswith(old)): t
            for n, t in _weights(module).items()
        }
    module = IPAdapterPlusImageProjection(HIDDEN, width, 64, heads=2, num_queries=kind.tokens)
    weights = _weights(module)
    found = {name: t for name, t in weights.items() if not name.startswith("layers.")}
    for number in range(len(module.layers)):
        at = f"layers.{number}"
        for old, new in {
            "ln0": "0.norm1", "ln1": "0.norm2", "ff.0": "1.0", "ff.1.net.0.proj": "1.1",
            "ff.1.net.2": "1.3", "attn.to_q": "0.to_q", "attn.to_out.0": "0.to_out",
        }.items():  # fmt: skip
            own = {n: t for n, t in weights.items() if n.startswith(f"{at}.{old}.")}
            found |= {re.sub(rf"^{at}\.{old}\.", f"{at}.{new}.", n): t for n, t in own.items()}
        both = [weights[f"{at}.attn.to_{part}.weight"] for part in "kv"]
        found[f"{at}.0.to_kv.weight"] = torch.cat(both)
    return found


def _weights(module: Any) -> Weights:
    """Of a module whose norms do something too."""
    found = {name: t.detach().clone() for name, t in module.state_dict().items()}
    for name, tensor in found.items():
        if tensor.ndim == 1:
            found[name] = tensor + torch.randn(tensor.shape) / 5
    return found
