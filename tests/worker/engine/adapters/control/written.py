"""Tiny ControlNets and T2I-Adapters with random weights, and their files as others write them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.controlnets.controlnet import ControlNetModel
from safetensors.torch import save_file

Weights = dict[str, torch.Tensor]

_HINT = (4, 8, 8, 8)  # halved three times: the tiny VAE's cells have 8 pixels
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_EMBEDDINGS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "controlnet_mid_block": "middle_block_out.0",
    "controlnet_cond_embedding.conv_in": "input_hint_block.0",
}


def network(unet: Any, seed: int, *, size: float = 0.1, **changes: Any) -> Any:
    """A ControlNet for this UNet, as stock has it; its zero convolutions are none."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=_HINT, **changes)
        zeros = (made.controlnet_down_blocks, made.controlnet_mid_block)
        for module in (*zeros, made.controlnet_cond_embedding.conv_out):
            for weight in module.parameters():
                torch.nn.init.normal_(weight, std=size)
    return made.eval().requires_grad_(False)


def t2i_adapter(unet: Any, seed: int, *, size: float = 0.2, **changes: Any) -> Any:
    """A T2I-Adapter for this UNet, as stock has it: SDXL's UNet begins without attention."""
    widths = list(unet.config.block_out_channels)
    is_xl = unet.config.down_block_types[0] == "DownBlock2D"
    # Its middle has a feature of its own where it is as large as the third block.
    widths += widths[-1:] if is_xl and len(widths) > 2 else []
    kind = {"adapter_type": "full_adapter_xl", "downscale_factor": 16} if is_xl else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = T2IAdapter(**({"channels": widths} | kind | changes))
        for weight in made.parameters():
            weight.data.mul_(size * 10 if weight.ndim > 1 else 1)
    return made.eval().requires_grad_(False)


def tencents(made: Any) -> Weights:
    """As TencentARC/T2I-Adapter wrote it: a full one's blocks are in one row."""
    light, found = made.config.adapter_type == "light_adapter", Weights()
    for name, weight in diffusers_weights(made).items():
        _, *parts = name.split(".")
        if "resnets" in parts and light:
            parts[2] = "body"
        elif parts[0] == "body" and not light:
            level, rest = int(parts[1]), parts[2:]
            block = int(rest[1]) if rest[0] == "resnets" else 0
            parts = ["body", str(2 * level + block), *(rest[2:] if "resnets" in rest else rest)]
        found[".".join(parts)] = weight
    return found


def diffusers_weights(made: Any) -> Weights:
    return {name: weight.clone() for name, weight in made.state_dict().items()}


def original(made: Any, prefix: str = "control_model.") -> Weights:
    """As lllyasviel/ControlNet wrote it: blocks are numbered through."""
    places = dict(_EMBEDDINGS)
    number = 1
    for b, block in enumerate(made.down_blocks):
        for layer in range(len(block.resnets)):
            places[f"down_blocks.{b}.resnets.{layer}"] = f"input_blocks.{number}.0"
            places[f"down_blocks.{b}.attentions.{layer}"] = f"input_blocks.{number}.1"
            number += 1
        if getattr(block, "downsamplers", None):
            places[f"down_blocks.{b}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    places |= {
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    for k in range(len(made.controlnet_down_blocks)):
        places[f"controlnet_down_blocks.{k}"] = f"zero_convs.{k}.0"
    blocks = len(made.controlnet_cond_embedding.blocks)
    for k in range(blocks):
        places[f"controlnet_cond_embedding.blocks.{k}"] = f"input_hint_block.{2 * k + 2}"
    places["controlnet_cond_embedding.conv_out"] = f"input_hint_block.{2 * blocks + 2}"
    return {prefix + _placed(name, places): w for name, w in diffusers_weights(made).items()}


def _placed(name: str, places: Mapping[str, str]) -> str:
    for inner, outer in sorted(places.items(), key=lambda pair: -len(pair[0])):
        if name.startswith(f"{inner}."):
            rest = name.removeprefix(f"{inner}.")
            layer, _, kind = rest.partition(".")
            if ".resnets." in inner:
                return f"{outer}.{_RESNET[layer]}.{kind}"
            return f"{outer}.{rest}"
    raise AssertionError(name)


def save(weights: Weights, path: Path) -> Path:
    save_file({name: one.contiguous() for name, one in weights.items()}, path)
    return path
