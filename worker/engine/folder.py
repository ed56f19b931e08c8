"""A model folder in diffusers layout to a blueprint: safetensors and known classes only."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from latentry.errors import ConfigurationError
from worker.engine.blueprint import Blueprint, Part
from worker.engine.card import read_card
from worker.engine.device import Device
from worker.engine.loading import load
from worker.engine.networks import network
from worker.engine.schedule import NoiseSchedule
from worker.engine.stack import Stack
from worker.engine.weights import weights_in

# What a folder may name. A class is never looked up by a name that a file gave us.
_NETWORKS: Final[dict[str, frozenset[str]]] = {
    "text_encoder": frozenset({"CLIPTextModel"}),
    "unet": frozenset({"UNet2DConditionModel"}),
    "vae": frozenset({"AutoencoderKL"}),
}
_TOKENIZERS: Final = {"tokenizer": frozenset({"CLIPTokenizer", "CLIPTokenizerFast"})}
# And what one may that has a second text encoder, as SDXL has.
_XL_NETWORKS: Final = _NETWORKS | {"text_encoder_2": frozenset({"CLIPTextModelWithProjection"})}
_XL_TOKENIZERS: Final = _TOKENIZERS | {"tokenizer_2": _TOKENIZERS["tokenizer"]}
_SCHEDULERS: Final = {
    "scheduler": frozenset(
        {
            "DDIMScheduler",
            "DDPMScheduler",
            "DPMSolverMultistepScheduler",
            "DPMSolverSinglestepScheduler",
            "EulerAncestralDiscreteScheduler",
            "EulerDiscreteScheduler",
            "HeunDiscreteScheduler",
            "KDPM2DiscreteScheduler",
            "LCMScheduler",
            "LMSDiscreteScheduler",
            "PNDMScheduler",
            "UniPCMultistepScheduler",
        }
    )
}
# UNets that want more than latents, timesteps and prompts, and SDXL's sizes.
_UNET_EXTRAS: Final = (
    "class_embed_type",
    "encoder_hid_dim_type",
    "num_class_embeds",
    "time_cond_proj_dim",
)
# The libraries' own names for a network's weights.
_STEMS: Final = {
    "text_encoder": "model",
    "text_encoder_2": "model",
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
}


def draft_folder(model: str, path: Path, *, half: bool) -> Blueprint:
    """Read all but the weights of a Stable Diffusion folder; of these, the headers.

    `half` prefers weights that were stored in half precision. Raises ConfigurationError with a
    sentence.
    """
    index = _read(path / "model_index.json")
    is_xl = _class_of(index, "text_encoder_2") not in ("nothing", "None")
    networks = _XL_NETWORKS if is_xl else _NETWORKS
    tokenizers = _XL_TOKENIZERS if is_xl else _TOKENIZERS
    for part, allowed in (networks | tokenizers | _SCHEDULERS).items():
        if _class_of(index, part) not in allowed:
            raise ConfigurationError(
                f"{path} has {_class_of(index, part)} as its {part}; "
                f"this engine knows {', '.join(sorted(allowed))}."
            )
    configs = {part: _read(path / part / "config.json") for part in networks}
    scheduler = _read(path / "scheduler" / "scheduler_config.json")
    refuse_other_families(str(path), configs)
    schedule = NoiseSchedule.from_config(scheduler)
    return Blueprint(
        card=read_card(
            model,
            path,
            native=native_size(configs["unet"], configs["vae"]),
            text_encoders=[configs[part] for part in configs if part.startswith("text_encoder")],
            trained_steps=schedule.length,
            scheduler=scheduler,
        ),
        schedule=schedule,
        parts={
            part: Part(
                part,
                network(_class_of(index, part), config),
                weights_in(path / part, _STEMS[part], half=half),
                overflows=is_xl and part == "vae" and config.get("force_upcast", True),
            )
            for part, config in configs.items()
        },
        tokenizers={part: _tokenizer(path / part) for part in tokenizers},
        zeros_for_empty=bool(index.get("force_zeros_for_empty_prompt", True)),
    )


def load_folder(model: str, path: Path, at: Device) -> Stack:
    """Load a Stable Diffusion folder. Raises ConfigurationError with a sentence."""
    return load(draft_folder(model, path, half=at.dtype is torch.float16), at)


def native_size(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height in pixels; a UNet's config has one side, or height and width."""
    size = unet.get("sample_size") or 64
    factor = 2 ** (len(vae.get("block_out_channels", [64])) - 1)
    height, width = (size, size) if isinstance(size, int) else size
    return width * factor, height * factor


def refuse_other_families(where: str, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ConfigurationError for a UNet that wants what this engine does not give it."""
    unet, vae = configs["unet"], configs["vae"]
    wants = [extra for extra in _UNET_EXTRAS if unet.get(extra) is not None]
    if unet.get("addition_embed_type") != ("text_time" if "text_encoder_2" in configs else None):
        wants.append("addition_embed_type")
    if wants:
        raise ConfigurationError(f"The UNet in {where} needs {', '.join(wants)}; not supported.")
    takes, makes = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if takes != makes:
        raise ConfigurationError(
            f"The UNet in {where} takes {takes} channels and its VAE makes {makes}; "
            "only text-to-image models are supported."
        )
    if "text_encoder_2" in configs:
        _refuse_other_conditions(where, unet, configs["text_encoder_2"])


def _refuse_other_conditions(where: str, unet: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    """SDXL's refiner, for one, is told an aesthetic score instead of a target size."""
    takes = unet.get("projection_class_embeddings_input_dim")
    told = 6 * unet.get("addition_time_embed_dim", 0) + text.get("projection_dim", 512)
    if takes != told:
        raise ConfigurationError(
            f"The UNet in {where} is told {takes} numbers beside its prompt; pooled prompt, two "
            f"sizes and a crop make {told}."
        )


def _class_of(index: Mapping[str, Any], part: str) -> str:
    named = index.get(part)
    return str(named[1]) if isinstance(named, list) and len(named) == 2 else "nothing"


def _tokenizer(path: Path) -> Callable[[], Any]:
    if not (path / "tokenizer.json").exists() and not (path / "vocab.json").exists():
        raise ConfigurationError(f"{path} has neither tokenizer.json nor vocab.json.")
    return partial(CLIPTokenizer.from_pretrained, path, local_files_only=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} is not a JSON object.")
    return found
