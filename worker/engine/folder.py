"""A model folder in diffusers layout to a resident stack: safetensors and known classes only."""

import json
from pathlib import Path
from typing import Any, Final

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers.models.clip.modeling_clip import CLIPTextModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer
from transformers.utils import logging as transformers_logging

from latentry.errors import ConfigurationError
from worker.engine.card import read_card
from worker.engine.device import Device
from worker.engine.schedule import NoiseSchedule
from worker.engine.stack import Stack, vae_factor
from worker.engine.text import TextEncoder

# What a folder may name. A class is never looked up by a name that a file gave us.
_ALLOWED: Final[dict[str, frozenset[str]]] = {
    "tokenizer": frozenset({"CLIPTokenizer", "CLIPTokenizerFast"}),
    "text_encoder": frozenset({"CLIPTextModel"}),
    "unet": frozenset({"UNet2DConditionModel"}),
    "vae": frozenset({"AutoencoderKL"}),
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
    ),
}
# UNets that want more than latents, timesteps and one prompt embedding.
_UNET_EXTRAS: Final = (
    "addition_embed_type",
    "class_embed_type",
    "encoder_hid_dim_type",
    "num_class_embeds",
    "time_cond_proj_dim",
)


def load_folder(model: str, path: Path, at: Device) -> Stack:
    """Load a Stable Diffusion 1.x or 2.x folder. Raises ConfigurationError with a sentence."""
    index = _read(path / "model_index.json")
    for part, allowed in _ALLOWED.items():
        name = (index.get(part) or [None, None])[1]
        if name not in allowed:
            raise ConfigurationError(
                f"{path} has {name} as its {part}; this engine knows {', '.join(sorted(allowed))}."
            )
    scheduler = _read(path / "scheduler" / "scheduler_config.json")
    schedule = NoiseSchedule.from_config(scheduler)
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = CLIPTokenizer.from_pretrained(path / "tokenizer", local_files_only=True)
        encoder = _weights(CLIPTextModel, path / "text_encoder", at)
        unet = _weights(UNet2DConditionModel, path / "unet", at, low_cpu_mem_usage=False)
        vae = _weights(AutoencoderKL, path / "vae", at, low_cpu_mem_usage=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"The model in {path} does not load: {error}") from error
    _refuse_other_families(path, unet, vae)
    return Stack(
        card=read_card(
            model,
            path,
            native=_native_size(unet, vae),
            trained_steps=schedule.length,
            scheduler=scheduler,
        ),
        schedule=schedule,
        text=TextEncoder(tokenizer, encoder),
        unet=unet.to(memory_format=at.memory_format),
        vae=vae.to(memory_format=at.memory_format),
        at=at,
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} is not a JSON object.")
    return found


def _weights(kind: Any, path: Path, at: Device, **options: Any) -> Any:
    if not any(path.glob("*.safetensors")):
        raise ConfigurationError(f"{path} has no .safetensors weights; pickles are not loaded.")
    loaded = kind.from_pretrained(
        path, dtype=at.dtype, use_safetensors=True, local_files_only=True, **options
    )
    return loaded.to(at.device).eval().requires_grad_(False)


def _native_size(unet: Any, vae: Any) -> tuple[int, int]:
    """Width and height in pixels; a UNet's config has one side, or height and width."""
    size, factor = unet.config.sample_size, vae_factor(vae)
    height, width = (size, size) if isinstance(size, int) else size
    return width * factor, height * factor


def _refuse_other_families(path: Path, unet: Any, vae: Any) -> None:
    wants = [extra for extra in _UNET_EXTRAS if getattr(unet.config, extra, None) is not None]
    if wants:
        raise ConfigurationError(f"The UNet in {path} needs {', '.join(wants)}; not supported.")
    if unet.config.in_channels != vae.config.latent_channels:
        raise ConfigurationError(
            f"The UNet in {path} takes {unet.config.in_channels} channels and its VAE makes "
            f"{vae.config.latent_channels}; only text-to-image models are supported."
        )
