"""A single `.safetensors` checkpoint to a blueprint: SD 1.x, 2.x and SDXL as they were published.

Such a file holds weights only. The sizes of the networks are read off the tensors' shapes; what
shapes do not show (heads, activations, the noise schedule) is the same in every model of a family.
All that a file holds is used, or known to change no picture, or refuses the file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from latentry.errors import ConfigurationError
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.motion.files import motion_in_file
from worker.engine.models.overrides import read_overrides
from worker.engine.models.sources.components import MOTION
from worker.engine.models.sources.model_files import ModelFiles
from worker.engine.models.sources.scales import with_scales
from worker.engine.models.sources.single_file import marks
from worker.engine.models.sources.single_file.configs import Weights
from worker.engine.models.sources.single_file.parts import EMA_UNET, split, without_state_dict
from worker.engine.models.sources.single_file.prediction import predicted
from worker.engine.models.sources.single_file.strangers import stranger
from worker.engine.models.sources.single_file.yaml_config import read_yaml_beside
from worker.engine.models.weights import stored_in

# AUTOMATIC1111's convention: a VAE beside a checkpoint replaces its own.
_VAE: Final = ".vae.safetensors"
_MOTION: Final = ".motion.safetensors"
_PICKLED_VAES: Final = (".vae.pt", ".vae.ckpt")


def blueprint_from_file(model: str, file: Path) -> Blueprint:
    """Read a checkpoint's header. Raises ConfigurationError."""
    if file.suffix.lower() != ".safetensors":
        raise ConfigurationError(
            f"{file} is not a .safetensors file; pickles are not loaded, because they can run code."
        )
    stored, metadata = stored_in(file)
    weights = without_state_dict(stored)
    if kind := stranger(weights):
        raise ConfigurationError(f"{file} is {kind}.")
    marks.refuse_edm(str(file), weights)
    try:
        return _blueprint(model, file, with_scales(str(file), weights, metadata), metadata)
    except KeyError as error:
        raise ConfigurationError(f"{file} is incomplete: it has no {error.args[0]}.") from error


def _blueprint(model: str, file: Path, weights: Weights, metadata: dict[str, str]) -> Blueprint:
    """The blueprint of a Stable Diffusion's weights under their names in the file."""
    where, overrides = str(file), read_overrides(file.with_suffix(".latentry.json"))
    parts = split(where, weights, _vae_beside(file))
    family, unet = parts.family, parts.networks["unet"]
    config = read_yaml_beside(file, family)
    prediction = predicted(where, family, weights, unet, metadata, config, overrides)
    vae_scaling = config.vae_scaling or family.vae_scaling
    marks.refuse_other_scaling(where, weights, vae_scaling)
    configs = parts.configs(family.side_for(prediction.type), vae_scaling)
    networks = dict(parts.networks)
    if (motion := file.with_suffix(_MOTION)).exists():
        configs[MOTION], networks[MOTION] = motion_in_file(motion, configs["unet"])
    blueprint = ModelFiles(
        where,
        overrides,
        configs=configs,
        weights=networks,
        tokenizers=family.tokenizers,
        scheduler={
            **family.scheduler,
            **config.scheduler,
            **marks.zero_snr(weights),
            "prediction_type": prediction.type,
        },
        created=int(file.stat().st_mtime),
        zeros_for_empty=family.zeros_for_empty,
        warnings=(*_warnings(file, weights), *config.warnings, *prediction.warnings),
    ).blueprint(model)
    marks.refuse_other_levels(where, weights, blueprint.schedule)
    return blueprint


def _vae_beside(file: Path) -> Weights | None:
    beside = file.with_suffix(_VAE)
    return with_scales(str(beside), stored_in(beside)[0]) if beside.exists() else None


def _warnings(file: Path, weights: Weights) -> Iterator[str]:
    if (beside := file.with_suffix(_VAE)).exists():
        yield f"Its VAE is {beside.name}, which stands beside it."
    for end in _PICKLED_VAES:
        if (pickle := file.with_suffix(end)).exists():
            yield f"{pickle.name} beside it is not used: pickles are not loaded."
    if any(name.startswith(EMA_UNET) for name in weights):
        yield "It holds EMA weights too; as in stock diffusers, the plain ones are used."
