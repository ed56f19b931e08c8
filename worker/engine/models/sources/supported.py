"""Which models this engine can serve, by the configs of their networks."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, TypeAlias

from latentry.errors import ConfigurationError

Config: TypeAlias = Mapping[str, Any]

# Options of UNets with inputs other than latent, timestep, prompt and SDXL's sizes.
_UNET_EXTRAS: Final = (
    "class_embed_type",
    "encoder_hid_dim_type",
    "num_class_embeds",
    "time_cond_proj_dim",
)
# What a UNet is made for that takes so many channels beside the latent.
_KINDS: Final = {1: "depth to image", 3: "upscaling"}


def refuse_unsupported_networks(where: str, configs: Mapping[str, Config]) -> None:
    """Raise ConfigurationError for networks that need inputs which this engine does not give.

    `where` names the source in the message; `configs` are by network.
    """
    for part, config in configs.items():
        _refuse_quantized(where, part, config)
    unet, vae = configs["unet"], configs["vae"]
    _refuse_extra_inputs(where, unet, is_xl="text_encoder_2" in configs)
    latent_channels = vae.get("latent_channels", 4)
    _refuse_other_channels(where, unet.get("in_channels", 4), latent_channels)
    _refuse_other_latents(where, vae, latent_channels)
    if "taesd" in configs:
        _refuse_other_previews(where, configs["taesd"], latent_channels)
    if "text_encoder_2" in configs:
        _refuse_other_conditions(where, configs)


def is_edit_model(unet: Config, vae: Config) -> bool:
    """Whether a UNet takes a picture's latent beside its own, as InstructPix2Pix does."""
    return bool(unet.get("in_channels", 4) == 2 * vae.get("latent_channels", 4))


def is_refiner(configs: Mapping[str, Config]) -> bool:
    """Whether a UNet takes an aesthetic score instead of a target size: SDXL's refiner.

    Its sizes and numbers beside the pooled prompt are five, as diffusers counts them for
    requires_aesthetics_score.
    """
    unet, text = configs["unet"], configs.get("text_encoder_2")
    return text is not None and _takes(unet) == _given(unet, text, numbers=5)


def _takes(unet: Config) -> Any:
    return unet.get("projection_class_embeddings_input_dim")


def _given(unet: Config, text_encoder: Config, *, numbers: int) -> Any:
    """The width of the pooled prompt and of so many numbers, each embedded like a timestep."""
    own = unet.get("addition_time_embed_dim") or 0
    return numbers * own + text_encoder.get("projection_dim", 512)


def _refuse_extra_inputs(where: str, unet: Config, *, is_xl: bool) -> None:
    extras = [extra for extra in _UNET_EXTRAS if unet.get(extra) is not None]
    if unet.get("addition_embed_type") != ("text_time" if is_xl else None):
        extras.append("addition_embed_type")
    if extras:
        raise ConfigurationError(
            f"The UNet in {where} needs {', '.join(extras)}, which is not supported."
        )


def _refuse_quantized(where: str, part: str, config: Config) -> None:
    if config.get("quantization_config"):
        raise ConfigurationError(
            f"The {part} in {where} has a quantization_config, which is not supported; use weights "
            "in fp32, bf16, fp16 or fp8."
        )


def _refuse_other_channels(where: str, in_channels: int, latent_channels: int) -> None:
    """A text-to-image UNet takes the latent; one that edits a picture's too, and one that inpaints
    a masked picture's and the mask. Others take a depth or a small picture beside it.
    """
    if in_channels not in (latent_channels, 2 * latent_channels, 2 * latent_channels + 1):
        kind = _KINDS.get(in_channels - latent_channels, "another kind of generation")
        raise ConfigurationError(
            f"The UNet in {where} takes {in_channels} channels, its VAE makes {latent_channels}: "
            f"it is made for {kind}, which is not supported."
        )


def _refuse_other_latents(where: str, vae: Config, latent_channels: int) -> None:
    """How latents are scaled: by a factor, and in some models by a mean and a deviation each."""
    if vae.get("shift_factor"):
        raise ConfigurationError(
            f"The VAE in {where} has a shift_factor, which is not supported for this family."
        )
    pair = [vae.get("latents_mean"), vae.get("latents_std")]
    if pair != [None, None] and not all(_are_numbers(one, latent_channels) for one in pair):
        raise ConfigurationError(
            f"The VAE in {where} needs {latent_channels} numbers each as latents_mean and "
            "latents_std, or neither."
        )


def _are_numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == count
        and all(isinstance(one, int | float) and isfinite(one) for one in value)
    )


def _refuse_other_previews(where: str, taesd: Config, latent_channels: int) -> None:
    channels, colours = taesd.get("latent_channels", 4), taesd.get("out_channels", 3)
    if (channels, colours) != (latent_channels, 3):
        raise ConfigurationError(
            f"The tiny autoencoder in {where} makes {colours} colours of {channels} channels, "
            f"not 3 of {latent_channels}."
        )


def _refuse_other_conditions(where: str, configs: Mapping[str, Config]) -> None:
    """SDXL has two text encoders, a target size among its numbers; its refiner one, and an
    aesthetic score instead of that size (arXiv:2307.01952).
    """
    has_both = "text_encoder" in configs
    unet, text = configs["unet"], configs["text_encoder_2"]
    takes, given = _takes(unet), _given(unet, text, numbers=6 if has_both else 5)
    if takes != given:
        whose = "two text encoders" if has_both else "text_encoder_2 alone"
        raise ConfigurationError(
            f"The UNet in {where} takes {takes} numbers beside its prompt; with {whose} they are "
            f"{given}."
        )
