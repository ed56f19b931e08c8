"""The layers that an adapter may change in a model, and the names that files have for them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import torch

from worker.engine.low_rank.sites import sites
from worker.engine.models.blueprint import Blueprint

NETWORKS: Final = ("unet", "text_encoder", "text_encoder_2")
_MIDDLE: Final = {"0": "mid_block_resnets_0", "1": "mid_block_attentions_0"} | {
    "2": "mid_block_resnets_1"
}
# Layers that Stability AI's repositories name apart from diffusers, as kohya-ss's scripts write
# them: with underscores for dots.
_OUTER: Final = {
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}
_RESNET: Final = {
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}
_KOHYA: Final = re.compile(r"lora_(unet|te|te1|te2)_(.+)")
_OLD_PROCESSOR: Final = re.compile(r"\.processor\.(to_(?:q|k|v|out))_lora$")
Place = tuple[str, str]  # a network, and the path of a layer in it


@dataclass(frozen=True)
class Architecture:
    """A model's layers that adapters may change: their weights' shapes, by network and path.

    level: how many blocks of Stability AI's numbering make one of diffusers'.
    """

    family: str
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]]
    level: int

    @classmethod
    def of(cls, blueprint: Blueprint) -> "Architecture":
        """From its networks as their configs make them, without weights."""
        networks = {}
        for name in NETWORKS:
            if name in blueprint.parts:
                with torch.device("meta"):
                    networks[name] = blueprint.parts[name].make()
        shapes = {
            name: {path: tuple(site.module.weight.shape) for path, site in sites(network).items()}
            for name, network in networks.items()
        }
        unet: Any = networks["unet"]
        layers = unet.config.layers_per_block
        level = (layers if isinstance(layers, int) else layers[0]) + 1
        return cls(blueprint.card.family, shapes, level)

    def place(self, module: str) -> Place | None:
        """The layer that a file names; None if there is no such layer here."""
        if match := _KOHYA.fullmatch(module):
            return self._flat(match[1], match[2])
        return self._dotted(module)

    def _flat(self, which: str, name: str) -> Place | None:
        has_two = "text_encoder_2" in self.shapes
        network = {"unet": "unet", "te2": "text_encoder_2"}.get(which, "text_encoder")
        # SDXL's first text encoder is SD 1.x's: only the name tells what a file was made for.
        if network not in self.shapes or which == ("te" if has_two else "te1"):
            return None
        if network == "unet":
            name = published(name, self.level)
        path = self._flattened[network].get(name.removeprefix("text_model_"))
        return (network, path) if path else None

    @cached_property
    def _flattened(self) -> dict[str, dict[str, str]]:
        return {
            network: {path.replace(".", "_"): path for path in paths}
            for network, paths in self.shapes.items()
        }

    def _dotted(self, module: str) -> Place | None:
        module = module.removeprefix("base_model.model.")
        network, _, path = module.partition(".")
        candidates = [(network, path)] if network in self.shapes else self._unprefixed(module)
        for name, written in candidates:
            path = _OLD_PROCESSOR.sub(_processors_layer, written)
            path = path if name == "unet" else path.removeprefix("text_model.")
            if path in self.shapes[name]:
                return name, path
        return None

    def _unprefixed(self, module: str) -> Iterator[Place]:
        """Peft writes the paths of the one network that it was given."""
        yield "unet", module
        if "text_encoder_2" not in self.shapes:
            yield "text_encoder", module


def published(name: str, level: int) -> str:
    """diffusers' name, with underscores for dots, of a layer of Stability AI's UNet.

    A name of diffusers' own stays as it is.
    """
    if name in _OUTER:
        return _OUTER[name]
    if match := re.fullmatch(r"middle_block_([012])_(.+)", name):
        return f"{_MIDDLE[match[1]]}_{_RESNET.get(match[2], match[2])}"
    if not (match := re.fullmatch(r"(input|output)_blocks_(\d+)_(\d+)_(.+)", name)):
        return name
    side, number, place, rest = match.groups()
    block, layer = divmod(int(number) - (side == "input"), level)
    blocks = f"{'down' if side == 'input' else 'up'}_blocks_{block}"
    if rest == "op":
        return f"{blocks}_downsamplers_0_conv"
    if rest == "conv":
        return f"{blocks}_upsamplers_0_conv"
    if place == "0":
        return f"{blocks}_resnets_{layer}_{_RESNET.get(rest, rest)}"
    return f"{blocks}_attentions_{layer}_{rest}"


def _processors_layer(match: re.Match[str]) -> str:
    return f".{match[1]}.0" if match[1] == "to_out" else f".{match[1]}"
