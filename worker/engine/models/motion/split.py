"""A folder of diffusers' AnimateDiffPipeline: its UNet holds the motion module's layers too."""

from collections.abc import Mapping
from typing import Any, Final

from worker.engine.models.weights import StoredTensor

Config = Mapping[str, Any]
Weights = Mapping[str, StoredTensor]

CLASS: Final = "UNetMotionModel"
_MODULES: Final = ".motion_modules."
# How each config calls what the other one has too.
_ADAPTER: Final = {
    "block_out_channels": "block_out_channels",
    "motion_layers_per_block": "layers_per_block",
    "motion_transformer_layers_per_block": "temporal_transformer_layers_per_block",
    "motion_transformer_layers_per_mid_block": "temporal_transformer_layers_per_mid_block",
    "motion_num_attention_heads": "motion_num_attention_heads",
    "motion_norm_num_groups": "norm_num_groups",
    "motion_max_seq_length": "motion_max_seq_length",
    "use_motion_mid_block": "use_motion_mid_block",
}
_OF_MOTION: Final = ("temporal_", "reverse_temporal_", "motion_", "reverse_motion_", "use_motion_")


def split_config(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config of a UNet2DConditionModel, and that of a MotionAdapter, of a UNetMotionModel's."""
    unet = {
        name: value
        for name, value in config.items()
        if not name.startswith((*_OF_MOTION, "num_attention_heads", "mid_block_layers"))
    }
    for name in ("down_block_types", "up_block_types"):
        unet[name] = [block.replace("Motion", "2D") for block in config[name]]
    # The number of heads, which UNet2DConditionModel calls so by mistake.
    heads = config.get("num_attention_heads")
    unet |= {"_class_name": "UNet2DConditionModel", "attention_head_dim": heads or 8}
    adapter = {name: config[own] for name, own in _ADAPTER.items() if own in config}
    return unet, {"_class_name": "MotionAdapter", **adapter}


def split_weights(weights: Weights) -> tuple[dict[str, StoredTensor], dict[str, StoredTensor]]:
    """The weights of the UNet, and those of the motion module."""
    motion = {name: stored for name, stored in weights.items() if _MODULES in name}
    return {name: weights[name] for name in weights.keys() - motion.keys()}, motion
