"""A motion module as AnimateDiff publishes it, to the names and the config of diffusers.

The published layout is `down_blocks.0.motion_modules.0.temporal_transformer…`. It has a table of
positions in each attention; diffusers has one in each block, because they are all the same.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from latentry.errors import ConfigurationError
from worker.engine.models.weights import StoredTensor

# As in all published modules; shapes do not show it.
_HEADS: Final = 8
_RENAMED: Final = (
    (r"^module\.", ""),  # of training on several GPUs
    (r"\.temporal_transformer\.", "."),
    (r"\.attention_blocks\.0\.pos_encoder\.pe$", ".pos_embed.pe"),
    (r"\.attention_blocks\.(\d+)\.", lambda match: f".attn{int(match[1]) + 1}."),
    (r"\.norms\.(\d+)\.", lambda match: f".norm{int(match[1]) + 1}."),
    (r"\.ff_norm\.", ".norm3."),
)
_SECOND_TABLE: Final = r"\.attention_blocks\.[1-9]\d*\.pos_encoder\.pe$"
_PE: Final = "down_blocks.0.motion_modules.0.transformer_blocks.0.pos_embed.pe"
_LAYER: Final = r"(down|up)_blocks\.(\d+)\.motion_modules\.(\d+)\.norm\.weight"

Weights = Mapping[str, StoredTensor]


def renamed(where: str, weights: Weights) -> dict[str, StoredTensor]:
    """The weights under diffusers' names. Raises ConfigurationError for a second position table
    that differs from the first of its block.
    """
    found: dict[str, StoredTensor] = {}
    for name, stored in weights.items():
        if re.search(_SECOND_TABLE, name):
            first = re.sub(r"\.attention_blocks\.\d+\.pos", ".attention_blocks.0.pos", name)
            if first not in weights or weights[first].bytes() != stored.bytes():
                raise ConfigurationError(f"{where} has positions of its own in {name}.")
            continue
        new = name
        for pattern, replacement in _RENAMED:
            new = re.sub(pattern, replacement, new)
        found[new] = stored
    return found


def config_of(where: str, weights: Weights, unet: Mapping[str, Any]) -> dict[str, Any]:
    """diffusers' config of a MotionAdapter with these weights, beside a UNet of this config.

    Sizes are read off the shapes; its norms have the UNet's groups, as in diffusers. Raises
    ConfigurationError.
    """
    if _PE not in weights:
        raise ConfigurationError(
            f"{where} is no motion module of AnimateDiff: it has no position table for the first."
        )
    channels: dict[int, int] = {}
    layers: dict[int, int] = {}
    for name, stored in weights.items():
        match = re.fullmatch(_LAYER, name)
        if match and match[1] == "down":
            block = int(match[2])
            channels[block] = stored.shape[0]
            layers[block] = max(layers.get(block, 0), int(match[3]) + 1)
    depth = {int(found[1]) for name in weights if (found := re.search(r"blocks\.(\d+)\.ff", name))}
    return {
        "block_out_channels": [channels[block] for block in sorted(channels)],
        "motion_layers_per_block": [layers[block] for block in sorted(layers)],
        "motion_transformer_layers_per_block": max(depth, default=0) + 1,
        "motion_transformer_layers_per_mid_block": max(depth, default=0) + 1,
        "motion_num_attention_heads": _HEADS,
        "motion_norm_num_groups": unet.get("norm_num_groups", 32),
        "motion_max_seq_length": weights[_PE].shape[1],
        "use_motion_mid_block": any(name.startswith("mid_block.") for name in weights),
    }
