"""Stable Diffusions with random weights, small enough to make in a second."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTokenizer
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from latentry.contracts import ResolvedRequest, Sampler
from worker.engine.loop import Done, Engine, Event, Order, Pixels

EPSILON = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "clip_sample": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}
V_ZERO_SNR = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": True,
    "clip_sample": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
SCHEDULERS = {"epsilon": EPSILON, "v_zero_snr": V_ZERO_SNR}
START, END = "<|startoftext|>", "<|endoftext|>"


class Family(StrEnum):
    """Whose shape a tiny model has: what its text encoders and its UNet are made of."""

    SD1 = "sd1"
    SD2 = "sd2"
    SDXL = "sdxl"
    REFINER = "refiner"


def _tokenizer(folder: Path, *, pad: str = END) -> None:
    """CLIP's byte-level tokenizer without a single merge: a token a letter."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in plain] + [chr(256 + k) for k in range(256 - len(plain))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), START, END]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder, model_max_length=77, pad_token=pad).save_pretrained(
        folder
    )


# The text encoders of each family, by the suffix of their folders: class, config, padding token.
# OpenCLIP's are the ones with gelu; SD 2.x leaves out the last layer of its own.
_TEXTS: dict[Family, dict[str, tuple[Any, dict[str, Any], str]]] = {
    Family.SD1: {"": (CLIPTextModel, {}, END)},
    Family.SD2: {"": (CLIPTextModel, {"hidden_act": "gelu", "num_hidden_layers": 3}, "!")},
    Family.SDXL: {
        "": (CLIPTextModel, {"num_hidden_layers": 3}, END),
        "_2": (
            CLIPTextModelWithProjection,
            {"hidden_act": "gelu", "num_hidden_layers": 4, "hidden_size": 40, "projection_dim": 24},
            "!",
        ),
    },
}


_TEXTS[Family.REFINER] = {"_2": _TEXTS[Family.SDXL]["_2"]}


def _text(folder: Path, family: Family) -> dict[str, Any]:
    """Tokenizers and text encoders, and their lines in the model's index."""
    lines: dict[str, Any] = {}
    if family is Family.REFINER:  # the second of SDXL's alone
        lines = {"tokenizer": [None, None], "text_encoder": [None, None]}
    for suffix, (kind, changes, pad) in _TEXTS[family].items():
        _tokenizer(folder / f"tokenizer{suffix}", pad=pad)
        config = {
            "vocab_size": 514, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "max_position_embeddings": 77, "bos_token_id": 512,
            "eos_token_id": 513, "pad_token_id": 513, "projection_dim": 32,
        }  # fmt: skip
        kind(CLIPTextConfig(**(config | changes))).save_pretrained(folder / f"text_encoder{suffix}")
        lines[f"tokenizer{suffix}"] = ["transformers", "CLIPTokenizer"]
        lines[f"text_encoder{suffix}"] = ["transformers", kind.__name__]
    return lines


def _unet(family: Family, channels: int = 4) -> UNet2DConditionModel:
    attending, plain = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    shape: dict[str, Any] = {
        "sample_size": 8, "in_channels": channels, "out_channels": 4, "layers_per_block": 1,
        "block_out_channels": (32, 64), "norm_num_groups": 8, "cross_attention_dim": 32,
        "attention_head_dim": 8, "down_block_types": attending, "up_block_types": plain,
    }  # fmt: skip
    if family is not Family.SD1:
        shape |= {"use_linear_projection": True, "attention_head_dim": (4, 8)}
    if family is Family.SDXL:
        shape |= {
            "cross_attention_dim": 32 + 40,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 24 + 6 * 8,
            "transformer_layers_per_block": (1, 2),
            "down_block_types": attending[::-1],
            "up_block_types": plain[::-1],
        }
    if family is Family.REFINER:
        shape |= {
            "cross_attention_dim": 40,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 24 + 5 * 8,
            "transformer_layers_per_block": (2, 2),
        }
    return UNet2DConditionModel(**shape)


def make(
    folder: Path,
    scheduler: dict[str, Any],
    *,
    family: Family = Family.SD1,
    seed: int = 0,
    channels: int = 4,
) -> Path:
    """Write a whole model folder in diffusers layout."""
    torch.manual_seed(seed)
    index = _text(folder, family)
    _unet(family, channels).save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=(16, 16, 16, 16), latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.13025 if family in (Family.SDXL, Family.REFINER) else 0.18215,
    ).save_pretrained(folder / "vae")  # fmt: skip
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    index |= {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", scheduler["_class_name"]],
        "feature_extractor": [None, None],
    }
    if family is Family.REFINER:
        index |= {
            "_class_name": "StableDiffusionXLImg2ImgPipeline",
            "requires_aesthetics_score": True,
            "force_zeros_for_empty_prompt": False,
        }
    elif family is Family.SDXL:
        index |= {
            "_class_name": "StableDiffusionXLPipeline",
            "image_encoder": [None, None],
            "force_zeros_for_empty_prompt": True,
        }
    else:
        index |= {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def request(model: str = "epsilon", **changes: Any) -> ResolvedRequest:
    """A small request; say what matters."""
    fields = {
        "model": model, "prompt": "a red circle", "negative_prompt": "", "width": 64, "height": 64,
        "num_inference_steps": 4, "guidance_scale": 5.0, "sampler": Sampler.DDIM, "seed": 0,
    }  # fmt: skip
    return ResolvedRequest(**(fields | changes))


def order(job: str = "job", index: int = 0, **changes: Any) -> Order:
    """The order for one image of such a request."""
    made = request(**changes)
    return Order(job, index, made, made.seed + index)


def drain(engine: Engine) -> list[Event]:
    """Step until nothing is left to do; all events."""
    events: list[Event] = []
    while not engine.idle:
        events += engine.step()
    return events


def pixels(events: list[Event]) -> dict[str, Pixels]:
    """The pictures among these events, by job."""
    return {event.job: event.pixels for event in events if isinstance(event, Done)}
