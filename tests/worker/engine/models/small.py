"""Stable Diffusions with random weights that have each family's fixed facts, as folders.

Fixed are what shapes do not show: 32 groups, the channels or number of heads, CLIP's vocabulary,
SD 2.x's 23 layers of text encoder.
"""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from tests.worker.engine import tiny
from worker.engine.models import clip

# What tells SD 2.x's v-prediction from ε where nothing else does: this bias of the last attention.
NORM1_BIAS = "up_blocks.1.attentions.1.transformer_blocks.0.norm1.bias"

_TEXT = partial(
    CLIPTextConfig, vocab_size=clip.WORDS, intermediate_size=48, bos_token_id=49406,
    eos_token_id=49407, pad_token_id=49407, max_position_embeddings=77,
)  # fmt: skip
_XL_TEXT: dict[str, Any] = {
    "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "projection_dim": 32,
    "hidden_act": "gelu",
}  # fmt: skip
_UNET: dict[str, Any] = {
    "sample_size": 8, "block_out_channels": (64, 128), "cross_attention_dim": 64,
    "layers_per_block": 1, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": 8,
}  # fmt: skip
_LINEAR: dict[str, Any] = {"use_linear_projection": True, "attention_head_dim": (1, 2)}
_SDXL: dict[str, Any] = _LINEAR | {
    "cross_attention_dim": 192, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 32 + 96,
    "transformer_layers_per_block": (1, 2),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
_UNETS: dict[str, dict[str, Any]] = {
    "sd1": {},
    "sd2": _LINEAR,
    "sd2-epsilon": _LINEAR,
    "sdxl": _SDXL,
    "sd1-inpainting": {"in_channels": 9},
    "sd2-inpainting": _LINEAR | {"in_channels": 9},
    "sdxl-inpainting": _SDXL | {"in_channels": 9},
    "sd1-edit": {"in_channels": 8},
    "sdxl-edit": _SDXL | {"in_channels": 8},
    # The refiner: the second text encoder alone, five numbers, and a middle that attends deeply.
    "refiner": _SDXL | {
        "cross_attention_dim": 128, "projection_class_embeddings_input_dim": 32 + 5 * 16,
        "transformer_layers_per_block": (2, 2),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    },
    # Segmind's distilled SDXLs: depths differ from layer to layer, and no attention in the middle.
    "ssd-1b": _SDXL | {
        "layers_per_block": 2, "transformer_layers_per_block": (1, (2, 1)),
        "reverse_transformer_layers_per_block": ((2, 2, 1), 1), "mid_block_type": "UNetMidBlock2D",
    },
    # KOALA: one layer a block, nothing in the middle.
    "koala": _SDXL | {"mid_block_type": None},
}  # fmt: skip
FAMILIES = ["sd1", "sd2", "sdxl"]


def _is_xl(family: str) -> bool:
    return family in ("sdxl", "sdxl-inpainting", "sdxl-edit", "refiner", "ssd-1b", "koala")


def _is_open(family: str) -> bool:
    return family in ("sd2", "sd2-epsilon", "sd2-inpainting")


def _told_apart(module: nn.Module) -> Any:
    """The same module, no two of its norms and biases alike: a swapped name would show."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return module


def _texts(folder: Path, family: str) -> dict[str, list[str]]:
    act = "gelu" if _is_open(family) else "quick_gelu"
    layers = 23 if _is_open(family) else 2
    first = _TEXT(
        hidden_size=64, num_hidden_layers=layers, num_attention_heads=1, projection_dim=64,
        hidden_act=act,
    )  # fmt: skip
    _told_apart(CLIPTextModel(first)).save_pretrained(folder / "text_encoder")
    pad = "!" if _is_open(family) else clip.END
    clip.tokenizer(pad=pad).save_pretrained(folder / "tokenizer")
    index = {
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "text_encoder": ["transformers", "CLIPTextModel"],
    }
    if family == "refiner":
        index = {"tokenizer": [None, None], "text_encoder": [None, None]}
        for name in index:
            shutil.rmtree(folder / name)
    if _is_xl(family):
        second = CLIPTextModelWithProjection(_TEXT(**_XL_TEXT))
        _told_apart(second).save_pretrained(folder / "text_encoder_2")
        clip.tokenizer(pad="!").save_pretrained(folder / "tokenizer_2")
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
    return index


def make(folder: Path, family: str, **unet: Any) -> Path:
    """Write such a model; `unet` are changes of its UNet's config."""
    torch.manual_seed(0)
    index = _texts(folder, family)
    network = _told_apart(UNet2DConditionModel(**(_UNET | _UNETS[family] | unet)))
    if family == "sd2":
        network.state_dict()[NORM1_BIAS].mul_(4)
    network.save_pretrained(folder / "unet")
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64, 64), layers_per_block=1, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.13025 if _is_xl(family) else 0.18215,
    )  # fmt: skip
    _told_apart(vae).save_pretrained(folder / "vae")
    v = {"prediction_type": "v_prediction"} if family == "sd2" else {}
    (folder / "scheduler").mkdir()
    scheduler = tiny.EPSILON | {"timestep_spacing": "leading"} | v
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    index |= {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "PNDMScheduler"],
    }
    kind = "StableDiffusionXLPipeline" if _is_xl(family) else "StableDiffusionPipeline"
    if family == "refiner":
        kind = "StableDiffusionXLImg2ImgPipeline"
        index |= {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind, **index}))
    return folder
