"""Stable Diffusion 1.5 and SDXL as published, with random weights, to measure their speed.

Their own weights are not available where we measure, and speed does not depend on the values,
unless they are zeros: matrices of zeros run 13 % faster on an H200.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.models.overrides import Overrides
from worker.engine.models.sources.model_files import ModelFiles

Config = dict[str, Any]

# Any CLIP tokenizer gives 77 tokens; the real vocabularies are not in this repository.
TOKENIZER: Final = Path(__file__).parents[2] / "models" / "shapes" / "tokenizer"
SCHEDULER: Final[Config] = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "clip_sample": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}
_DOWN, _UP = "DownBlock2D", "UpBlock2D"
_CROSS_DOWN, _CROSS_UP = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
_CLIP_L: Final[Config] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
_CLIP_G: Final = _CLIP_L | {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}
_VAE: Final[Config] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "scaling_factor": 0.18215,
    "sample_size": 512,
}

SD15: Final[dict[str, Config]] = {
    "text_encoder": _CLIP_L,
    "unet": {
        "sample_size": 64,
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": [_CROSS_DOWN, _CROSS_DOWN, _CROSS_DOWN, _DOWN],
        "up_block_types": [_UP, _CROSS_UP, _CROSS_UP, _CROSS_UP],
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "vae": _VAE,
}
SDXL: Final[dict[str, Config]] = {
    "text_encoder": _CLIP_L,
    "unet": {
        "sample_size": 128,
        "block_out_channels": [320, 640, 1280],
        "down_block_types": [_DOWN, _CROSS_DOWN, _CROSS_DOWN],
        "up_block_types": [_CROSS_UP, _CROSS_UP, _UP],
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "transformer_layers_per_block": [1, 2, 10],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "vae": _VAE | {"scaling_factor": 0.13025, "sample_size": 1024, "force_upcast": True},
    "text_encoder_2": _CLIP_G,
}


def shrunk(configs: Mapping[str, Config]) -> dict[str, Config]:
    """The same architecture with very few channels and 64 pixels a side, for a dry run."""
    small = {name: dict(config) for name, config in configs.items()}
    for name in small.keys() - {"unet", "vae"}:
        small[name] |= {
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 1000,
            "projection_dim": 32,
        }
    unet, depth = small["unet"], len(small["unet"]["block_out_channels"])
    is_xl = "text_encoder_2" in small
    unet |= {
        "sample_size": 8,
        "block_out_channels": [32, 64, 64, 64][:depth],
        "cross_attention_dim": 64 if is_xl else 32,
        "attention_head_dim": 4,
        "layers_per_block": 1,
    }
    if is_xl:
        unet |= {
            "transformer_layers_per_block": 1,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 32 + 6 * 8,
        }
    small["vae"] |= {
        "block_out_channels": [16, 16, 16, 16],
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "sample_size": 64,
    }
    return small


def blueprint(model: str, configs: Mapping[str, Config]) -> Blueprint:
    """The model without weights."""
    tokenizer: Callable[[], Any] = partial(CLIPTokenizer.from_pretrained, TOKENIZER)
    suffixes = ("", "_2") if "text_encoder_2" in configs else ("",)
    return ModelFiles(
        "benchmarks.architectures",
        Overrides(),
        configs=configs,
        weights={part: {} for part in configs},
        tokenizers={f"tokenizer{suffix}": tokenizer for suffix in suffixes},
        scheduler=SCHEDULER,
        created=0,
    ).blueprint(model)


def build(plan: Blueprint, at: Device) -> tuple[LoadedModel, dict[str, nn.Module]]:
    """The model on its device, filled with noise, and its networks by name."""
    networks: dict[str, nn.Module] = {}
    for name, part in plan.parts.items():
        with torch.device("meta"):
            module = part.make()
        module = module.to(part.dtype_in(at.dtype)).to_empty(device=at.device)
        _fill(module)
        for parameter in module.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=at.memory_format)
        networks[name] = module.eval().requires_grad_(False)
    return LoadedModel.assemble(plan, networks, at, "random weights"), networks


@torch.no_grad()
def _fill(module: nn.Module) -> None:
    """Fill in weights that keep the variance of activations, so that nothing overflows."""
    torch.manual_seed(0)
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=0.5 / (parameter[0].numel() ** 0.5))
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    for buffer in module.buffers():  # CLIP counts its positions
        buffer.copy_(torch.arange(buffer.shape[-1], device=buffer.device).expand(buffer.shape))
