"""BLIP's captioning network (Li et al. 2022) as transformers has it, from a folder of its files.

Its config is read by name, its weights are safetensors alone, and nothing of it names code.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import nn
from transformers import BlipConfig, BlipForConditionalGeneration

from latentry.errors import ConfigurationError
from worker.engine.captioning.words import read_small
from worker.engine.models.part import Part
from worker.engine.models.weights import StoredTensor, stored_in

WEIGHTS: Final = "model.safetensors"
_ARCHITECTURE: Final = "BlipForConditionalGeneration"
_BOTH: Final = (
    *("hidden_act", "hidden_size", "intermediate_size", "layer_norm_eps"),
    *("num_attention_heads", "num_hidden_layers"),
)
_OF_VISION: Final = (*_BOTH, "image_size", "patch_size")
_OF_TEXT: Final = (*_BOTH, "vocab_size", "max_position_embeddings", "bos_token_id", "sep_token_id")
# A network without weights takes no memory, but time for each layer.
_MOST: Final = {"num_hidden_layers": 100}
_MOST_OF_OTHERS: Final = 1_000_000
# The last layer of the decoder has the weights of its first, and is often not stored.
_TIED: Final = {
    "text_decoder.cls.predictions.decoder.weight": "text_decoder.bert.embeddings.word_embeddings."
    "weight",
    "text_decoder.cls.predictions.decoder.bias": "text_decoder.cls.predictions.bias",
}


def read_blip(folder: Path) -> Any:
    """The network, a `BlipForConditionalGeneration`. Raises ConfigurationError."""
    config = _config(folder)
    try:
        stored, _ = stored_in(folder / WEIGHTS)
    except (OSError, ValueError):
        raise ConfigurationError(
            f"{folder / WEIGHTS} is not there; pickles are not read."
        ) from None
    return Part("captioner", lambda: _network(config), _named(stored)).read()


def fingerprint(network: Any, pieces: Mapping[int, str]) -> str:
    """SHA-256, in hex, of all that captions depend on: config, vocabulary and weights."""
    of_parts = ((network.config.vision_config, _OF_VISION), (network.config.text_config, _OF_TEXT))
    values = [[getattr(part, name, None) for name in names] for part, names in of_parts]
    found = hashlib.sha256(json.dumps([values, sorted(pieces.items())]).encode())
    for name, weight in sorted(network.state_dict().items()):
        found.update(f"{name} {tuple(weight.shape)}".encode())
        found.update(weight.float().cpu().contiguous().numpy().data)
    return found.hexdigest()


def _config(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        read = json.loads(read_small(folder / "config.json"))
        architectures = read.get("architectures") or ()
        parts = {
            part: {name: read[part][name] for name in names if name in read[part]}
            for part, names in (("vision_config", _OF_VISION), ("text_config", _OF_TEXT))
        }
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        raise ConfigurationError(f"{folder / 'config.json'} is no config of BLIP's.") from None
    if _ARCHITECTURE not in architectures:
        raise ConfigurationError(f"{folder} is no {_ARCHITECTURE}.")
    for part in parts.values():
        for name, value in part.items():
            _refuse_large(folder, name, value)
    return parts


def _refuse_large(folder: Path, name: str, value: object) -> None:
    if isinstance(value, int) and not 0 <= value <= _MOST.get(name, _MOST_OF_OTHERS):
        raise ConfigurationError(f"{folder / 'config.json'}: {name} is {value}.")


def _network(config: Mapping[str, dict[str, Any]]) -> nn.Module:
    try:
        network: nn.Module = BlipForConditionalGeneration(BlipConfig(**config))
        return network
    except Exception as error:  # libraries raise anything for an unchecked config
        raise ConfigurationError(f"The config of the captioner is not usable: {error}") from error


def _named(stored: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """With those that are stored once for two places, and without what is no weight."""
    found = {name: one for name, one in stored.items() if not name.endswith(".position_ids")}
    for name, other in _TIED.items():
        if name not in found and other in found:
            found[name] = found[other]
    return found
