"""Configs and headers to a blueprint, wherever a model's files came from."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from latentry.errors import ConfigurationError
from worker.engine.models.blueprint import Blueprint, Part
from worker.engine.models.card import Notes, make_card
from worker.engine.models.networks import network
from worker.engine.models.weights import StoredTensor
from worker.engine.samplers.schedule import NoiseSchedule

Config: TypeAlias = Mapping[str, Any]

# UNets that want more than latents, timesteps and prompts, and SDXL's sizes.
_UNET_EXTRAS: Final = (
    "class_embed_type",
    "encoder_hid_dim_type",
    "num_class_embeds",
    "time_cond_proj_dim",
)


def draft(
    where: str,
    model: str,
    notes: Notes,
    *,
    classes: Mapping[str, str],
    configs: Mapping[str, Config],
    weights: Mapping[str, Mapping[str, StoredTensor]],
    tokenizers: Mapping[str, Callable[[], Any]],
    scheduler: Config,
    created: int,
    zeros_for_empty: bool = True,
) -> Blueprint:
    """The blueprint of a model whose classes are known. Raises ConfigurationError.

    `where` it lies is for the sentence of an error. By network: classes, configs and weights.
    """
    _refuse_other_families(where, configs)
    schedule = NoiseSchedule.from_config(scheduler)
    card = make_card(
        model,
        notes,
        native=_native_size(configs["unet"], configs["vae"]),
        text_encoders=[configs[part] for part in configs if part.startswith("text_encoder")],
        trained_steps=schedule.length,
        spacing=schedule.spacing,
        scheduler=scheduler,
        previews="taesd" in configs,
        created=created,
    )
    is_xl = "text_encoder_2" in configs
    parts = {
        part: Part(
            part,
            network(classes[part], config),
            weights[part],
            overflows=is_xl and part == "vae" and config.get("force_upcast", True),
        )
        for part, config in configs.items()
    }
    return Blueprint(
        card=card,
        schedule=schedule,
        parts=parts,
        tokenizers=tokenizers,
        strict_rows=notes.strict_rows,
        zeros_for_empty=zeros_for_empty,
    )


def _native_size(unet: Mapping[str, Any], vae: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height in pixels; a UNet's config has one side, or height and width."""
    size = unet.get("sample_size") or 64
    factor = 2 ** (len(vae.get("block_out_channels", [64])) - 1)
    height, width = (size, size) if isinstance(size, int) else size
    return width * factor, height * factor


def _refuse_other_families(where: str, configs: Mapping[str, Mapping[str, Any]]) -> None:
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
    if (tiny := configs.get("taesd")) is not None:
        shown = tiny.get("latent_channels", 4), tiny.get("out_channels", 3)
        if shown != (makes, 3):
            raise ConfigurationError(
                f"The tiny autoencoder in {where} makes {shown[1]} colours of {shown[0]} channels, "
                f"not 3 of {makes}."
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
