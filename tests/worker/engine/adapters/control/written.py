"""Tiny ControlNets with random weights, and their files as others write them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
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
