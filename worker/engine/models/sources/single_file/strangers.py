"""Files that are no text-to-image checkpoint of a known family, by what they are.

Each is told by names of weights that only its kind has.
"""

import re
from collections.abc import Collection
from typing import Final

from worker.engine.models.sources.single_file.names import UNET_PREFIX, VAE_PREFIX

_CANNOT: Final = "which is not supported"
_ADAPTER: Final = "which changes a model and is none"
# A regular expression for the beginning of names; what it is; what can be said about it.
_KINDS: Final = (
    (r"lora_|.*\.(lora_(up|down|A|B)|hada_w1_a|lokr_w1)\b", "a LoRA", _ADAPTER),
    (r"emb_params$|string_to_param|clip_[lg]$", "a textual inversion embedding", _ADAPTER),
    (r"control_model\.|controlnet_", "a ControlNet", _ADAPTER),
    (r".*motion_modules\.", "an AnimateDiff motion module", _ADAPTER),
    (r"embedder\.model\.visual\.|noise_augmentor\.", "an unCLIP model", _CANNOT),
    (r"low_res_model\.|model\.diffusion_model\.label_emb\.weight$", "an upscaler", _CANNOT),
    (r"depth_model\.", "a depth-to-image model", _CANNOT),
    (r"cc_projection\.", "a Zero123 model", _CANNOT),
    (r".*\.time_stack\.", "a Stable Video Diffusion", _CANNOT),
    (r"(.*\.)?joint_blocks\.", "a Stable Diffusion 3", _CANNOT),
    (r"(.*\.)?double_blocks\.", "a FLUX or one of its relatives", _CANNOT),
    (r"clip_txt_mapper\.|clip_mapper\.", "a Stable Cascade", _CANNOT),
    (
        r"down_blocks\.|encoder\.down_blocks\.|text_model\.",
        "one part of a diffusers model",
        "which is loaded as a folder with its model_index.json",
    ),
)


def stranger(names: Collection[str]) -> str | None:
    """What a file with weights of these names is, and why it cannot be loaded; None: go on."""
    for pattern, kind, why in _KINDS:
        if any(re.match(pattern, name) for name in names):
            return f"{kind}, {why}"
    has = [part for part in _PARTS if any(name.startswith(_PARTS[part]) for name in names)]
    if "EMA weights" in has and "a UNet" not in has:
        return "a checkpoint with EMA weights only, which cannot be told from each other by name"
    if not has:
        return "no Stable Diffusion 1.x, 2.x or SDXL in its original layout"
    if missing := [part for part in ("a UNet", "a text encoder") if part not in has]:
        return f"no whole checkpoint: it holds {' and '.join(has)}, but not {missing[0]}"
    return None


_PARTS: Final = {
    "a UNet": (UNET_PREFIX,),
    "a VAE": (VAE_PREFIX, "encoder.", "decoder."),
    "a text encoder": ("cond_stage_model.", "conditioner."),
    "EMA weights": ("model_ema.",),
}
