"""Writes the trained parts as a folder that the stock pipeline loads without arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from tools.training import tokenizer as words
from tools.training.parts import FOLDER
from tools.training.unet import noise_schedule

SERVING: dict[str, Any] = {
    "native_width": 128,
    "native_height": 128,
    "default_steps": 25,
    "default_guidance_scale": 2.0,
    "default_sampler": "ddim",
    "min_side": 96,
    "max_side": 192,
    "size_step": 32,
    "max_steps": 100,
    "strict_rows": 20,
}


@torch.no_grad()
def fold(vae: AutoencoderKL, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Give the latents mean 0 and deviation 1 in each channel.

    The stock pipeline knows one scalar `scaling_factor`; the two 1×1 convolutions hold the rest.
    """
    channels = len(mean)
    inward, outward = vae.quant_conv, vae.post_quant_conv
    inward.weight[:channels] /= deviation[:, None, None, None]
    inward.bias[:channels] = (inward.bias[:channels] - mean) / deviation
    inward.bias[channels:] -= 2 * deviation.log()
    outward.bias += outward.weight[:, :, 0, 0] @ mean
    outward.weight *= deviation[None, :, None, None]


def export(
    *,
    vae: AutoencoderKL,
    encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    folder: Path = FOLDER,
    name: str = FOLDER.name,
) -> None:
    """Write every part, half precision where it may be, and the index that names them."""
    # transformers would load a half-precision text encoder as such, beside a float32 UNet.
    words.write(folder / "tokenizer")
    encoder.float().save_pretrained(folder / "text_encoder")
    _save_half(unet, folder / "unet")
    _save_half(vae, folder / "vae")
    noise_schedule().save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    _write_json(folder / "model_index.json", index)
    _write_json(folder / "latentry.json", {"id": name, **SERVING})


def _save_half(part: AutoencoderKL | UNet2DConditionModel, folder: Path) -> None:
    part.half().save_pretrained(folder)
    part.float()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
