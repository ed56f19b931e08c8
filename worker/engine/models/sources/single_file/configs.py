"""Networks' configs, as diffusers and transformers write them, from the shapes of their weights.

All functions raise KeyError with the name of a weight that is missing.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from worker.engine.models.weights import StoredTensor

Weights: TypeAlias = Mapping[str, StoredTensor]

# Channels of an attention head in CLIP-L, OpenCLIP-H and bigG, and in the UNets since SD 2.0.
HEAD_CHANNELS: Final = 64
SD1_HEADS: Final = 8


def unet_config(unet: Weights, sample_size: int, pooled: int, numbers: int) -> dict[str, Any]:
    """A UNet's config. `sample_size`: the side of its native latent.

    `pooled`: the width of SDXL's pooled prompt; so many numbers follow it, each embedded like a
    timestep.
    """
    blocks = count(unet, "down_blocks.{}.resnets.0.conv1.weight")
    channels = [unet[f"down_blocks.{b}.resnets.0.conv1.weight"].shape[0] for b in range(blocks)]
    layers = count(unet, "down_blocks.0.resnets.{}.conv1.weight")
    downs = [_depths(unet, f"down_blocks.{b}", layers) for b in range(blocks)]
    ups = [_depths(unet, f"up_blocks.{b}", layers + 1) for b in range(blocks)]
    first = next((b for b, depths in enumerate(downs) if any(depths)), 0)
    attention = f"down_blocks.{first}.attentions.0"
    is_linear = len(unet[f"{attention}.proj_in.weight"].shape) == 2
    config = {
        "sample_size": sample_size,
        "in_channels": unet["conv_in.weight"].shape[1],
        "out_channels": unet["conv_out.weight"].shape[0],
        "block_out_channels": channels,
        "layers_per_block": layers,
        "down_block_types": [_block("Down", any(depths)) for depths in downs],
        "mid_block_type": _middle(unet),
        "up_block_types": [_block("Up", any(depths)) for depths in ups],
        "cross_attention_dim": unet[f"{attention}.transformer_blocks.0.attn2.to_k.weight"].shape[1],
        **_transformers(downs, ups, _depths(unet, "mid_block", 1)[0]),
        "use_linear_projection": is_linear,
        # diffusers' name for how many heads there are (huggingface/diffusers#2011).
        "attention_head_dim": [c // HEAD_CHANNELS for c in channels] if is_linear else SD1_HEADS,
    }
    return config | _size_conditioning(unet, pooled, numbers)


def _depths(unet: Weights, block: str, layers: int) -> list[int]:
    """How many transformers each layer of a block has; 0 where it does not attend."""
    names = [f"{block}.attentions.{layer}.transformer_blocks" for layer in range(layers)]
    return [count(unet, f"{name}.{{}}.norm1.weight") for name in names]


def _transformers(downs: list[list[int]], ups: list[list[int]], middle: int) -> dict[str, Any]:
    """The depths as diffusers has them: a number a block where the way up mirrors the way down.

    It takes the last one for the middle too, which in SDXL's refiner alone attends below a block
    that does not.
    """
    depths = [max(block) or 1 for block in downs]
    if not any(downs[-1]):
        depths[-1] = middle or 1
    if all(len({*down, *up}) == 1 for down, up in zip(downs, reversed(ups), strict=True)):
        return {"transformer_layers_per_block": depths}
    return {
        "transformer_layers_per_block": [block if any(block) else 1 for block in downs],
        "reverse_transformer_layers_per_block": [block if any(block) else 1 for block in ups],
    }


def _middle(unet: Weights) -> str | None:
    """Distilled UNets leave out the attention of the middle, or all of it."""
    if "mid_block.attentions.0.norm.weight" in unet:
        return "UNetMidBlock2DCrossAttn"
    return "UNetMidBlock2D" if "mid_block.resnets.0.conv1.weight" in unet else None


def _block(direction: str, attend: bool) -> str:
    return f"CrossAttn{direction}Block2D" if attend else f"{direction}Block2D"


def _size_conditioning(unet: Weights, pooled: int, numbers: int) -> dict[str, Any]:
    """SDXL's options for its pooled prompt and sizes; none for a UNet without them."""
    if "add_embedding.linear_1.weight" not in unet:
        return {}
    takes = unet["add_embedding.linear_1.weight"].shape[1]
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": (takes - pooled) // numbers,
        "projection_class_embeddings_input_dim": takes,
    }


def vae_config(vae: Weights, scaling_factor: float) -> dict[str, Any]:
    """A VAE's config. Its latents are multiplied by `scaling_factor` to unit variance."""
    if not any(name.startswith("encoder.") for name in vae):
        raise KeyError("encoder in its VAE, which has a decoder only")
    blocks = count(vae, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    weights = [f"encoder.down_blocks.{b}.resnets.0.conv1.weight" for b in range(blocks)]
    return {
        "block_out_channels": [vae[name].shape[0] for name in weights],
        "layers_per_block": count(vae, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
        "latent_channels": vae["decoder.conv_in.weight"].shape[1],
        "scaling_factor": scaling_factor,
    }


def clip_config(text: Weights, *, is_open_clip: bool) -> dict[str, Any]:
    """A text encoder's config; OpenCLIP's have an exact GELU and another padding token."""
    vocabulary, width = text["text_model.embeddings.token_embedding.weight"].shape
    positions = text["text_model.embeddings.position_embedding.weight"].shape[0]
    config = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": text["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": count(text, "text_model.encoder.layers.{}.layer_norm1.weight"),
        "num_attention_heads": max(width // HEAD_CHANNELS, 1),
        "max_position_embeddings": positions,
        "hidden_act": "gelu" if is_open_clip else "quick_gelu",
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": 0 if is_open_clip else vocabulary - 1,
    }
    if "text_projection.weight" in text:
        config["projection_dim"] = text["text_projection.weight"].shape[0]
    return config


def count(weights: Weights, name: str) -> int:
    """How many weights there are of a name with a number at `{}`, from 0 on."""
    found = 0
    while name.format(found) in weights:
        found += 1
    return found
