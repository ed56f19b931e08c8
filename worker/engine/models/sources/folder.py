"""A model folder in diffusers layout to a blueprint: safetensors and known classes only."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from transformers.models.clip.tokenization_clip import CLIPTokenizer

from latentry.errors import ConfigurationError
from worker.engine.models.assembling import draft
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.card import NOTES, read_notes
from worker.engine.models.weights import weights_in

# What a folder may name. A class is never looked up by a name that a file gave us.
_NETWORKS: Final[dict[str, frozenset[str]]] = {
    "text_encoder": frozenset({"CLIPTextModel"}),
    "unet": frozenset({"UNet2DConditionModel"}),
    "vae": frozenset({"AutoencoderKL"}),
}
_TOKENIZERS: Final = {"tokenizer": frozenset({"CLIPTokenizer", "CLIPTokenizerFast"})}
# The tiny autoencoder of previews, which no index names: stock pipelines know nothing of it.
PREVIEWER: Final = "taesd"
_PREVIEWER: Final = "AutoencoderTiny"
# And what one may that has a second text encoder, as SDXL has.
_XL_NETWORKS: Final = _NETWORKS | {"text_encoder_2": frozenset({"CLIPTextModelWithProjection"})}
TOKENIZERS: Final = _TOKENIZERS | {"tokenizer_2": _TOKENIZERS["tokenizer"]}
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
# The libraries' own names for a network's weights.
STEMS: Final = {
    PREVIEWER: "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
}


def blueprint_from_folder(model: str, path: Path, *, half: bool) -> Blueprint:
    """Read all but the weights of a Stable Diffusion folder; of these, the headers.

    `half` prefers weights that were stored in half precision. Raises ConfigurationError with a
    sentence.
    """
    index = _read(path / "model_index.json")
    is_xl = _class_of(index, "text_encoder_2") not in ("nothing", "None")
    networks = _XL_NETWORKS if is_xl else _NETWORKS
    tokenizers = TOKENIZERS if is_xl else _TOKENIZERS
    for part, allowed in (networks | tokenizers | _SCHEDULERS).items():
        if _class_of(index, part) not in allowed:
            raise ConfigurationError(
                f"{path} has {_class_of(index, part)} as its {part}; "
                f"this engine knows {', '.join(sorted(allowed))}."
            )
    classes = {part: _class_of(index, part) for part in networks}
    configs = {part: _read(path / part / "config.json") for part in networks}
    if (path / PREVIEWER).is_dir():
        configs[PREVIEWER] = _read(path / PREVIEWER / "config.json")
        classes[PREVIEWER] = _previewer(path, configs[PREVIEWER])
    notes = read_notes(path / NOTES)
    return draft(
        str(path),
        model,
        notes,
        classes=classes,
        configs=configs,
        weights={part: weights_in(path / part, STEMS[part], half=half) for part in configs},
        tokenizers={part: _tokenizer(path / part) for part in tokenizers},
        scheduler=_read(path / "scheduler" / "scheduler_config.json") | notes.scheduler,
        created=int((path / "model_index.json").stat().st_mtime),
        zeros_for_empty=bool(index.get("force_zeros_for_empty_prompt", True)),
    )


def _class_of(index: Mapping[str, Any], part: str) -> str:
    named = index.get(part)
    return str(named[1]) if isinstance(named, list) and len(named) == 2 else "nothing"


def _previewer(path: Path, config: Mapping[str, Any]) -> str:
    said = str(config.get("_class_name"))
    if said != _PREVIEWER:
        raise ConfigurationError(
            f"{path} has {said} as its {PREVIEWER}; this engine knows {_PREVIEWER}."
        )
    return said


def _tokenizer(path: Path) -> Callable[[], Any]:
    has_words = all((path / name).exists() for name in ("vocab.json", "merges.txt"))
    if not has_words and not (path / "tokenizer.json").exists():
        raise ConfigurationError(
            f"{path} has neither tokenizer.json nor vocab.json and merges.txt."
        )
    return partial(CLIPTokenizer.from_pretrained, path, local_files_only=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} is not a JSON object.")
    return found
