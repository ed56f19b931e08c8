"""Motion modules with random weights for the tiny models, in diffusers' layout or published."""

import re
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_motion_model import MotionAdapter
from safetensors.torch import save_file

from latentry.contracts.fields.clip import Clip
from tests.worker.engine import tiny
from worker.engine.loop import Order

FRAMES = 6  # that the module knows


def adapter(**changes: Any) -> MotionAdapter:
    """A module whose every weight matters."""
    torch.manual_seed(5)
    config: dict[str, Any] = {
        "block_out_channels": (32, 64), "motion_layers_per_block": 1,
        "motion_num_attention_heads": 8, "motion_norm_num_groups": 8,
        "motion_max_seq_length": FRAMES, "use_motion_mid_block": True,
    }  # fmt: skip
    module = MotionAdapter(**(config | changes))
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return module


def published(module: MotionAdapter) -> dict[str, torch.Tensor]:
    """Its weights under the names of guoyww/AnimateDiff's checkpoints."""
    found: dict[str, torch.Tensor] = {}
    for name, weight in module.state_dict().items():
        new = re.sub(r"(motion_modules\.\d+)\.", r"\1.temporal_transformer.", name)
        if new.endswith("pos_embed.pe"):
            for k in range(2):
                table = f"attention_blocks.{k}.pos_encoder.pe"
                found[new.replace("pos_embed.pe", table)] = weight.clone()
            continue
        new = new.replace(".attn1.", ".attention_blocks.0.").replace(
            ".attn2.", ".attention_blocks.1."
        )
        new = new.replace(".norm1.", ".norms.0.").replace(".norm2.", ".norms.1.")
        found[new.replace(".norm3.", ".ff_norm.")] = weight
    return found


def write(folder: Path, module: MotionAdapter, *, as_published: bool = False) -> Path:
    """Put the module beside a model in diffusers layout."""
    inside = folder / "motion_adapter"
    if as_published:
        inside.mkdir()
        save_file(published(module), inside / "mm_tiny.safetensors")
    else:
        module.save_pretrained(inside)
    return folder


def order(job: str = "clip", *, frames: int = 4, **changes: Any) -> Order:
    """The order for a small clip."""
    return tiny.order(job, clip=Clip(frames=frames, fps=8), **changes)
