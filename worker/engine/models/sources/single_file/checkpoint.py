"""A single `.safetensors` checkpoint to a blueprint: SD 1.x, 2.x and SDXL as they were published.

Such a file holds weights only. The sizes of the networks are read off the tensors' shapes; what
shapes do not show (heads, activations, the noise schedule) is the same in every model of a family.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from latentry.errors import ConfigurationError
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.overrides import read_overrides
from worker.engine.models.sources.model_files import ModelFiles
from worker.engine.models.sources.single_file import names as single_file_names
from worker.engine.models.sources.single_file.configs import (
    Weights,
    clip_config,
    count,
    unet_config,
    vae_config,
)
from worker.engine.models.sources.single_file.families import (
    V_PREDICTION,
    Family,
    TextEncoder,
    family_of,
)
from worker.engine.models.weights import stored_in

_ZERO_SNR: Final = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


def blueprint_from_file(model: str, file: Path) -> Blueprint:
    """Read a checkpoint's header. Raises ConfigurationError."""
    if file.suffix != ".safetensors":
        raise ConfigurationError(
            f"{file} is not a .safetensors file; pickles are not loaded, because they can run code."
        )
    weights, metadata = stored_in(file)
    family = family_of(weights)
    if family is None:
        raise ConfigurationError(
            f"{file} is not a complete SD 1.x, 2.x or SDXL checkpoint in its original layout. Load "
            "the parts of a diffusers model from a folder with a model_index.json."
        )
    networks = _networks(family, weights)
    try:
        configs = _configs(family, networks)
    except KeyError as error:
        raise ConfigurationError(f"{file} is incomplete: it has no {error.args[0]}.") from error
    return ModelFiles(
        str(file),
        read_overrides(file.with_suffix(".latentry.json")),
        configs=configs,
        weights=networks,
        tokenizers=family.tokenizers,
        scheduler={**family.scheduler, **_scheduler_marks(weights, metadata)},
        created=int(file.stat().st_mtime),
    ).blueprint(model)


def _networks(family: Family, weights: Weights) -> dict[str, Weights]:
    """Each network's weights under diffusers' names."""
    texts = {name: _text_encoder(one, weights) for name, one in family.text_encoders.items()}
    unet, vae = single_file_names.unet(weights), single_file_names.vae(weights)
    return {**texts, "unet": unet, "vae": vae}


def _configs(family: Family, networks: Mapping[str, Weights]) -> dict[str, dict[str, Any]]:
    """Each network's config. Raises KeyError with the name of a weight that is missing."""
    configs = {
        name: clip_config(networks[name], is_open_clip=encoder.is_open_clip)
        for name, encoder in family.text_encoders.items()
    }
    pooled = configs.get("text_encoder_2", {}).get("projection_dim", 0)
    configs["unet"] = unet_config(networks["unet"], family.side_px // 8, pooled)
    configs["vae"] = vae_config(networks["vae"], family.vae_scaling)
    return configs


def _text_encoder(encoder: TextEncoder, weights: Weights) -> Weights:
    if not encoder.is_open_clip:
        return single_file_names.clip(weights, encoder.prefix)
    text = single_file_names.open_clip(weights, encoder.prefix)
    if not encoder.drops_last_layer:
        return text
    layer = "text_model.encoder.layers.{}."
    last = layer.format(count(text, layer + "layer_norm1.weight") - 1)
    return {name: stored for name, stored in text.items() if not name.startswith(last)}


def _scheduler_marks(weights: Weights, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file itself says about its noise schedule, as entries of a scheduler's config.

    `modelspec.prediction_type` is Stability AI's ModelSpec; `v_pred` and `ztsnr` are empty tensors
    by which trainers mark v-prediction and zero terminal SNR.
    """
    marks: dict[str, Any] = {}
    if predicts := metadata.get("modelspec.prediction_type"):
        marks |= V_PREDICTION if predicts.startswith("v") else {"prediction_type": "epsilon"}
    if "v_pred" in weights:
        marks |= V_PREDICTION
    if "ztsnr" in weights:
        marks |= _ZERO_SNR
    return marks
