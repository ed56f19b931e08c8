"""A model folder in diffusers layout to a blueprint: safetensors and known classes only."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from transformers.models.clip.tokenization_clip import CLIPTokenizer

from latentry.errors import ConfigurationError
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.motion.files import motion_in_folder, refuse_other_motion
from worker.engine.models.motion.split import CLASS as MOTION_UNET
from worker.engine.models.motion.split import split_config, split_weights
from worker.engine.models.networks import NETWORKS
from worker.engine.models.overrides import OVERRIDES_FILE, read_overrides
from worker.engine.models.sources.components import (
    CLASSES,
    MOTION,
    PIPELINES,
    PREVIEWER,
    REFINER_NETWORKS,
    REFINER_TOKENIZERS,
    SD_NETWORKS,
    SD_TOKENIZERS,
    SDXL_NETWORKS,
    SDXL_TOKENIZERS,
    UNUSED_PARTS,
)
from worker.engine.models.sources.json_file import read_json
from worker.engine.models.sources.model_files import ModelFiles
from worker.engine.models.sources.part_files import weights_in


def blueprint_from_folder(model: str, path: Path, *, prefer_fp16: bool) -> Blueprint:
    """Read a Stable Diffusion folder; of its weights, only the headers.

    `prefer_fp16` takes weights that are stored in half precision where there are both. Raises
    ConfigurationError.
    """
    index = read_json(path / "model_index.json")
    _refuse_other_pipeline(path, index)
    networks, tokenizers = _components(index)
    for component in (*networks, *tokenizers, "scheduler"):
        _refuse_other_class(path, component, _class_of(index, component))
    configs = {name: read_json(path / name / "config.json") for name in networks}
    if (path / PREVIEWER).is_dir():
        configs[PREVIEWER] = read_json(path / PREVIEWER / "config.json")
        _refuse_other_class(path, PREVIEWER, str(configs[PREVIEWER].get("_class_name")))
    weights = {
        name: weights_in(path / name, NETWORKS[name].stem, prefer_fp16=prefer_fp16)
        for name in configs
    }
    if _class_of(index, "unet") == MOTION_UNET:
        configs["unet"], configs[MOTION] = split_config(configs["unet"])
        weights["unet"], weights[MOTION] = split_weights(weights["unet"])
        refuse_other_motion(str(path), configs[MOTION], configs["unet"])
    elif (path / MOTION).is_dir() or _class_of(index, MOTION) not in ("nothing", "None"):
        configs[MOTION], weights[MOTION] = motion_in_folder(
            path / MOTION, configs["unet"], prefer_fp16=prefer_fp16
        )
    return ModelFiles(
        str(path),
        read_overrides(path / OVERRIDES_FILE),
        configs=configs,
        weights=weights,
        tokenizers={name: _tokenizer(path / name) for name in tokenizers},
        scheduler=read_json(path / "scheduler" / "scheduler_config.json")
        | {"_class_name": _class_of(index, "scheduler")},
        created=int((path / "model_index.json").stat().st_mtime),
        zeros_for_empty=bool(index.get("force_zeros_for_empty_prompt", True)),
    ).blueprint(model)


def _refuse_other_pipeline(path: Path, index: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for an index that asks for another pipeline, or for further parts.

    diffusers scales the pictures that a CosXL edits, as no other model's.

    Parts without a class are those that a pipeline may have and this model has not.
    """
    pipeline = index.get("_class_name", PIPELINES[0])
    if pipeline not in PIPELINES:
        raise ConfigurationError(
            f"{path} is made for {pipeline}; supported are {', '.join(PIPELINES)}."
        )
    if index.get("is_cosxl_edit"):
        raise ConfigurationError(f"{path} is a CosXL, which was trained by EDM: not supported.")
    known = {*CLASSES, *UNUSED_PARTS} - {PREVIEWER}
    parts = [name for name, entry in index.items() if isinstance(entry, list) and any(entry)]
    if unknown := sorted(set(parts) - known):
        raise ConfigurationError(
            f"{path} has a {unknown[0]} in its index, which is not supported and would be left out."
        )


def _components(index: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Networks and tokenizers of a folder, by the text encoders that its index has."""
    has = {
        name: _class_of(index, name) not in ("nothing", "None")
        for name in ("text_encoder", "text_encoder_2")
    }
    if not has["text_encoder_2"]:
        return SD_NETWORKS, SD_TOKENIZERS
    if not has["text_encoder"]:
        return REFINER_NETWORKS, REFINER_TOKENIZERS
    return SDXL_NETWORKS, SDXL_TOKENIZERS


def _class_of(index: Mapping[str, Any], component: str) -> str:
    """The class that an index names for a component, as `["diffusers", "AutoencoderKL"]`."""
    entry = index.get(component)
    return str(entry[1]) if isinstance(entry, list) and len(entry) == 2 else "nothing"


def _refuse_other_class(path: Path, component: str, found: str) -> None:
    known = CLASSES[component]
    if found not in known:
        raise ConfigurationError(
            f"{path} has {found} as its {component}; supported are {', '.join(sorted(known))}."
        )


def _tokenizer(path: Path) -> Callable[[], Any]:
    """What makes the tokenizer of a folder. Raises ConfigurationError if it has no vocabulary."""
    has_vocabulary = all((path / name).exists() for name in ("vocab.json", "merges.txt"))
    if not has_vocabulary and not (path / "tokenizer.json").exists():
        raise ConfigurationError(
            f"{path} has neither tokenizer.json nor vocab.json and merges.txt."
        )
    return partial(CLIPTokenizer.from_pretrained, path, local_files_only=True)
