"""A ControlNet's config, from the shapes of its weights and from the UNet that it was copied of."""

from collections.abc import Mapping
from typing import Any, Final

from latentry.errors import AdapterUnusable
from worker.engine.models.sources.single_file.configs import count
from worker.engine.models.weights import StoredTensor

Weights = Mapping[str, StoredTensor]

# As the UNet has them: no shape tells.
_OF_UNET: Final = (
    "flip_sin_to_cos", "freq_shift", "only_cross_attention", "downsample_padding",
    "mid_block_scale_factor", "act_fn", "norm_num_groups", "norm_eps", "cross_attention_dim",
    "encoder_hid_dim", "encoder_hid_dim_type", "attention_head_dim", "num_attention_heads",
    "class_embed_type", "addition_embed_type", "addition_time_embed_dim", "num_class_embeds",
    "upcast_attention", "resnet_time_scale_shift", "projection_class_embeddings_input_dim",
)  # fmt: skip
# What a config of its own may not say otherwise: the same network would compute something else.
_ALIKE: Final = (
    "flip_sin_to_cos", "freq_shift", "act_fn", "norm_num_groups", "norm_eps",
    "attention_head_dim", "num_attention_heads", "class_embed_type", "addition_embed_type",
    "addition_time_embed_dim", "encoder_hid_dim_type", "resnet_time_scale_shift",
)  # fmt: skip
_CLASS: Final = "ControlNetModel"
_RGB: Final = 3
_ORDERS: Final = ("rgb", "bgr")


def control_config(
    weights: Weights,
    unet: Mapping[str, Any],
    own: Mapping[str, Any] | None,
    name: str,
    *,
    cell: int,
) -> dict[str, Any]:
    """The config of diffusers' ControlNetModel; weights are under its names.

    own: the config of a folder. name: of the file. cell: pixels of a picture for each of the
    latent's cells, along a side. Raises AdapterUnusable.
    """
    try:
        config = {one: unet[one] for one in _OF_UNET if one in unet} | _shapes(weights)
    except (KeyError, IndexError) as error:
        raise AdapterUnusable(f"It is not whole: it lacks {error}.") from None
    _refuse_other(config, unet)
    _refuse_other_inputs(config, unet, cell)
    # Only its name tells, as in ComfyUI's comfy/controlnet.py.
    pools = name.endswith(("_shuffle", "_shuffle_fp16"))
    if own is None:
        return config | {"global_pool_conditions": pools}
    return config | _said(own, config)


def _shapes(weights: Weights) -> dict[str, Any]:
    blocks = count(weights, "down_blocks.{}.resnets.0.conv1.weight")
    layers = count(weights, "down_blocks.0.resnets.{}.conv1.weight")
    depths = [_depth(weights, f"down_blocks.{block}") for block in range(blocks)]
    middle = _depth(weights, "mid_block")
    hints = count(weights, "controlnet_cond_embedding.blocks.{}.weight")
    hint = "controlnet_cond_embedding.conv_in.weight"
    each = [f"controlnet_cond_embedding.blocks.{number}.weight" for number in range(1, hints, 2)]
    if blocks == 0:
        raise KeyError("down_blocks.0.resnets.0.conv1.weight")
    widths = [weights[f"down_blocks.{b}.resnets.0.conv1.weight"].shape[0] for b in range(blocks)]
    found = {
        "in_channels": weights["conv_in.weight"].shape[1],
        "conditioning_channels": weights[hint].shape[1],
        "conditioning_embedding_out_channels": [weights[one].shape[0] for one in (hint, *each)],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": ["CrossAttnDownBlock2D" if d else "DownBlock2D" for d in depths],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": [*[d or 1 for d in depths[:-1]], depths[-1] or middle or 1],
    }
    attention = next((name for name in weights if name.endswith(".proj_in.weight")), None)
    if attention:
        found["use_linear_projection"] = len(weights[attention].shape) == 2
    return found


def _depth(weights: Weights, block: str) -> int:
    return count(weights, f"{block}.attentions.0.transformer_blocks.{{}}.norm1.weight")


def _refuse_other(config: Mapping[str, Any], unet: Mapping[str, Any]) -> None:
    """Its residuals must be as many and as wide as what they are added to."""
    for name in ("block_out_channels", "layers_per_block"):
        own, other = _listed(config[name]), _listed(unet[name])
        if own != (other[:1] if len(set(other)) == 1 and len(own) == 1 else other):
            raise AdapterUnusable(f"Its {name} is {own}, and the UNet's {other}.")


def _refuse_other_inputs(config: Mapping[str, Any], unet: Mapping[str, Any], cell: int) -> None:
    """What it is shown are RGB pictures, and of a UNet's input the latent alone or all."""
    takes, latent, whole = config["in_channels"], unet["out_channels"], unet["in_channels"]
    if takes not in (latent, whole):
        raise AdapterUnusable(f"Its in_channels is {takes}, and the UNet's {whole}.")
    if (channels := config["conditioning_channels"]) != _RGB:
        raise AdapterUnusable(f"Its conditioning_channels is {channels}; a picture has {_RGB}.")
    if (own := 2 ** (len(config["conditioning_embedding_out_channels"]) - 1)) != cell:
        raise AdapterUnusable(f"It makes one cell of {own} pixels a side, and the VAE of {cell}.")


def _said(own: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a folder's config adds. Raises AdapterUnusable for what is another network."""
    if (kind := own.get("_class_name", _CLASS)) != _CLASS:
        raise AdapterUnusable(f"It is a {kind}, which is not supported; {_CLASS} is.")
    for name in _ALIKE:
        said, known = own.get(name), config.get(name)
        if said is not None and not _equal(said, known, len(config["block_out_channels"])):
            raise AdapterUnusable(f"Its {name} is {said}, and the UNet's {known}.")
    order = own.get("controlnet_conditioning_channel_order", "rgb")
    if order not in _ORDERS:
        raise AdapterUnusable(f"Its controlnet_conditioning_channel_order is {order}.")
    return {
        "controlnet_conditioning_channel_order": order,
        "global_pool_conditions": own.get("global_pool_conditions") is True,
    }


def _equal(said: Any, known: Any, blocks: int) -> bool:
    """One number for all blocks is as many numbers."""
    one, other = _listed(said), _listed(known)
    most = max(len(one), len(other), 1)
    if most > blocks:
        return False
    return (one * most if len(one) == 1 else one) == (other * most if len(other) == 1 else other)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
