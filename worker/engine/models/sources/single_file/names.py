"""The names that weights had when Stable Diffusion was published, as diffusers calls them now.

CompVis (SD 1.x), Stability AI (2.x) and its generative-models repository (SDXL) all keep the UNet
under `model.diffusion_model`, numbering its blocks through, and the VAE under `first_stage_model`.
What diffusers' `loaders/single_file_utils.py` does with tensors is done with headers here: nothing
is read, so a card can be had without loading, and nothing is computed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from latentry.errors import ConfigurationError
from worker.engine.models.weights import StoredTensor

Weights: TypeAlias = Mapping[str, StoredTensor]

_TIME: Final = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_RESNET: Final = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
    "nin_shortcut": "conv_shortcut",
}
_VAE: Final = {
    "mid.block_1": "mid_block.resnets.0",
    "mid.block_2": "mid_block.resnets.1",
    "mid.attn_1.norm": "mid_block.attentions.0.group_norm",
    "mid.attn_1.q": "mid_block.attentions.0.to_q",
    "mid.attn_1.k": "mid_block.attentions.0.to_k",
    "mid.attn_1.v": "mid_block.attentions.0.to_v",
    "mid.attn_1.proj_out": "mid_block.attentions.0.to_out.0",
    # diffusers' own names in the published place, as some of its scripts left them.
    "mid.attn_1": "mid_block.attentions.0",
    "norm_out": "conv_norm_out",
}
_OPEN_CLIP: Final = {
    "transformer.resblocks": "text_model.encoder.layers",
    "token_embedding": "text_model.embeddings.token_embedding",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final": "text_model.final_layer_norm",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


UNET_PREFIX: Final = "model.diffusion_model."
VAE_PREFIX: Final = "first_stage_model."


def renamed(weights: Weights, rename: Callable[[str], str]) -> dict[str, StoredTensor]:
    """The weights under new names. Raises ConfigurationError if two would have the same."""
    found: dict[str, StoredTensor] = {}
    for old, stored in weights.items():
        new = rename(old)
        if new in found:
            raise ConfigurationError(f"{stored.file} holds {new} twice, once as {old}.")
        found[new] = stored
    return found


def under(weights: Weights, prefix: str) -> dict[str, StoredTensor]:
    """The weights whose names begin so, without that beginning."""
    return {
        name.removeprefix(prefix): stored
        for name, stored in weights.items()
        if name.startswith(prefix)
    }


def unet(weights: Weights) -> dict[str, StoredTensor]:
    """The UNet of a published checkpoint under diffusers' names."""
    found = under(weights, UNET_PREFIX)
    downs = [re.fullmatch(r"input_blocks\.(\d+)\.0\.op\.weight", name) for name in found]
    # Blocks are numbered through all levels: `level` of them, the last one being a downsampler.
    level = min((int(match[1]) for match in downs if match), default=1)
    return renamed(found, lambda name: unet_block_name(name, level))


def unet_block_name(name: str, level: int) -> str:
    """diffusers' name for a weight of a UNet with `level` blocks a level."""
    head, _, tail = name.partition(".")
    if head in ("input_blocks", "output_blocks") and not name.startswith("input_blocks.0."):
        number, place, rest = tail.split(".", 2)
        block, layer = divmod(int(number) - (head == "input_blocks"), level)
        side = "down_blocks" if head == "input_blocks" else "up_blocks"
        if rest.startswith("op."):
            inner = f"downsamplers.0.conv.{rest.removeprefix('op.')}"
        elif rest.startswith("conv."):
            inner = f"upsamplers.0.{rest}"
        elif place == "0":
            inner = f"resnets.{layer}.{rest}"
        else:
            inner = f"attentions.{layer}.{rest}"
        name = f"{side}.{block}.{inner}"
    return _renamed(_renamed(name, _TIME), _RESNET)


def vae(weights: Weights) -> dict[str, StoredTensor]:
    """The VAE of a published checkpoint, or of a file of its own, under diffusers' names.

    What it was trained with is left out.
    """
    found = {
        name: stored
        for name, stored in (under(weights, VAE_PREFIX) or weights).items()
        if not name.startswith(("loss.", "model_ema."))
    }
    ups = [re.match(r"decoder\.up\.(\d+)\.", name) for name in found]
    last = max((int(match[1]) for match in ups if match), default=0)
    weights = renamed(found, lambda name: _vae_name(name, last))
    # Its attention was published as 1×1 convolutions; diffusers has matrices.
    return {
        name: stored.reshaped(*stored.shape[:2])
        if ".attentions." in name and len(stored.shape) > 2
        else stored
        for name, stored in weights.items()
    }


def _vae_name(name: str, last: int) -> str:
    """diffusers' name for a weight of a VAE, whose decoder counts its levels from the other end."""
    name = re.sub(r"decoder\.up\.(\d+)\.", lambda m: f"decoder.up_blocks.{last - int(m[1])}.", name)
    name = re.sub(r"encoder\.down\.(\d+)\.", r"encoder.down_blocks.\1.", name)
    name = re.sub(r"\.block\.(\d+)\.", r".resnets.\1.", name)
    name = re.sub(r"\.(down|up)sample\.conv\.", r".\1samplers.0.conv.", name)
    return _renamed(_renamed(name, _VAE), _RESNET)


def clip(weights: Weights) -> dict[str, StoredTensor]:
    """A text encoder under transformers' names; some trainers leave out a part."""
    kept = ("text_model.", "text_projection.")
    return renamed(weights, lambda name: name if name.startswith(kept) else f"text_model.{name}")


def open_clip(weights: Weights) -> dict[str, StoredTensor]:
    """An OpenCLIP text encoder as transformers' CLIP: queries, keys and values apart."""
    found: dict[str, StoredTensor] = {}
    for published, stored in weights.items():
        name = _renamed(published, _OPEN_CLIP)
        if name == "text_projection":
            # OpenCLIP computes x W, transformers x Wᵀ.
            found["text_projection.weight"] = replace(stored, transposed=True)
        elif match := re.fullmatch(r"(.+)\.attn\.in_proj_(weight|bias)", name):
            for k, letter in enumerate("qkv"):
                found[f"{match[1]}.self_attn.{letter}_proj.{match[2]}"] = stored.third(k)
        else:
            found[name] = stored
    return found


def _renamed(name: str, names: Mapping[str, str]) -> str:
    """Replace each of the names where it stands between dots, or at an end."""
    for old, new in names.items():
        name = re.sub(rf"(^|(?<=\.)){re.escape(old)}(?=\.|$)", new, name)
    return name
