"""What tells a ControlNet of any kind, by the names of its tensors."""

from collections.abc import Collection
from typing import Final

_MARKS: Final = (
    "controlnet_cond_embedding.",
    "controlnet_down_blocks.",
    "controlnet_mid_block.",
    "zero_convs.",
    "input_hint_block.",
    "lora_controlnet",
    "lllite_",
    "controlnet_blocks.",
    "controlnet_x_embedder.",
)


def is_controlnet(names: Collection[str]) -> bool:
    """Whether a file with these tensors is one."""
    return any(mark in name for name in names for mark in _MARKS)
