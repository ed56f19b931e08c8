"""A UNet with the layers of a motion module between its own."""

from typing import Any

import torch
from diffusers.models.unets.unet_motion_model import UNetMotionModel


def with_motion(unet: Any, adapter: Any) -> Any:
    """diffusers' UNetMotionModel of this UNet2DConditionModel and MotionAdapter, eager.

    It has the very modules of both: clips and pictures are drawn with the same weights, which are
    in memory once. `from_unet2d` would copy them.
    """
    with torch.device("meta"):
        whole = UNetMotionModel.from_unet2d(unet, adapter, load_weights=False)
    for name in ("conv_in", "time_proj", "time_embedding", "conv_norm_out", "conv_act", "conv_out"):
        setattr(whole, name, getattr(unet, name))
    blocks = [*zip(whole.down_blocks, unet.down_blocks, adapter.down_blocks, strict=True)]
    blocks += zip(whole.up_blocks, unet.up_blocks, adapter.up_blocks, strict=True)
    if adapter.mid_block is None:
        whole.mid_block = unet.mid_block
    else:
        blocks.append((whole.mid_block, unet.mid_block, adapter.mid_block))
    for block, own, motion in blocks:
        for name in ("resnets", "attentions", "downsamplers", "upsamplers"):
            if getattr(block, name, None) is not None:
                setattr(block, name, getattr(own, name))
        block.motion_modules = motion.motion_modules
    return whole.eval().requires_grad_(False)
