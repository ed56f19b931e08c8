"""The names of a ControlNet's weights, as diffusers has them.

The original ones are of lllyasviel/ControlNet, cldm/cldm.py: the UNet's own blocks, numbered
through, and `input_hint_block`, `zero_convs` and `middle_block_out` beside them.
"""

import re
from collections.abc import Mapping
from typing import Final

from latentry.errors import AdapterUnusable, ConfigurationError
from worker.engine.models.sources.single_file.names import renamed, unet_block_name
from worker.engine.models.weights import StoredTensor

Weights = Mapping[str, StoredTensor]

_PREFIX: Final = "control_model."
_DOWN: Final = re.compile(r"input_blocks\.(\d+)\.0\.op\.weight")
_HINT: Final = re.compile(r"input_hint_block\.(\d+)\.(weight|bias)")
_ZERO: Final = re.compile(r"zero_convs\.(\d+)\.0\.(weight|bias)")
_MIDDLE: Final = re.compile(r"middle_block_out\.0\.(weight|bias)")
_OTHERS: Final = {
    "task_embedding": "a union ControlNet",
    "control_add_embedding": "a union ControlNet",
    "spatial_ch_projs": "a union ControlNet",
    "lora_controlnet": "a Control-LoRA",
    "lllite_": "a ControlNet-LLLite",
    "controlnet_blocks.": "a ControlNet of a transformer, not of a UNet",
    "controlnet_x_embedder.": "a ControlNet of a transformer, not of a UNet",
}


def under_diffusers_names(weights: Weights) -> dict[str, StoredTensor]:
    """The weights of a ControlNet in either layout. Raises AdapterUnusable for other kinds."""
    for name in weights:
        for mark, kind in _OTHERS.items():
            if mark in name:
                raise AdapterUnusable(f"It is {kind} ({name}), which is not supported.")
        if name == "difference":
            raise AdapterUnusable("It is a difference to a model's weights; they are not in it.")
    try:
        found = renamed(weights, lambda name: name.removeprefix(_PREFIX))
        if not any(name.startswith("zero_convs.") for name in found):
            return found
        return renamed(found, _Renaming(found))
    except (ConfigurationError, ValueError) as error:
        raise AdapterUnusable(f"Its names are not those of a ControlNet: {error}") from None


class _Renaming:
    """From one original name to diffusers'; the UNet's `level` blocks make one level."""

    def __init__(self, weights: Weights) -> None:
        downs = [int(match[1]) for name in weights if (match := _DOWN.fullmatch(name))]
        hints = [int(match[1]) for name in weights if (match := _HINT.fullmatch(name))]
        self._level = min(downs, default=max(1, len(weights)))
        self._last_hint = max(hints, default=0)

    def __call__(self, name: str) -> str:
        if match := _ZERO.fullmatch(name):
            return f"controlnet_down_blocks.{match[1]}.{match[2]}"
        if match := _MIDDLE.fullmatch(name):
            return f"controlnet_mid_block.{match[1]}"
        if match := _HINT.fullmatch(name):
            return f"controlnet_cond_embedding.{self._hint(int(match[1]))}.{match[2]}"
        return unet_block_name(name, self._level)

    def _hint(self, number: int) -> str:
        """A convolution stands at every other place, a SiLU between them."""
        if not number:
            return "conv_in"
        return "conv_out" if number == self._last_hint else f"blocks.{number // 2 - 1}"
