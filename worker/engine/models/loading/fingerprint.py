"""Which model this is, by its content: ids and paths can stay while the weights change."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from worker.engine.models.blueprint import Blueprint
from worker.engine.models.weights import BITS, StoredTensor

# No picture depends on the tiny autoencoder of previews, and only a clip on the motion module.
_NOT_OF_PICTURES: Final = {"taesd", "motion_adapter"}
# The sections of a tokenizer.json that decide which ids a prompt becomes.
_TOKENIZING: Final = ("added_tokens", "model", "normalizer", "pre_tokenizer")
# Config entries that begin so say where a model came from, not what it draws.
_ORIGIN: Final = ("_", "transformers_version")


def fingerprints(
    blueprint: Blueprint,
    networks: Mapping[str, nn.Module],
    digests: Mapping[str, Mapping[str, str]],
    vocabularies: Iterable[str],
) -> tuple[str, str]:
    """SHA-256, in hex, of every weight in its file's dtype, every config, vocabulary, noise level:
    of all that pictures depend on, and with the motion module of all that clips depend on.

    `digests`: what `WeightDigest` tells of each weight, by part and name. `vocabularies`: what
    `vocabulary` tells of each tokenizer. A digest of headers and sizes would cost nothing, but it
    is equal for all fine-tunes of a model.
    """
    found = hashlib.sha256(f"{blueprint.zeros_for_empty}".encode())
    for field in fields(blueprint.schedule):
        value = getattr(blueprint.schedule, field.name)
        found.update(value.tobytes() if isinstance(value, np.ndarray) else str(value).encode())
    for words in vocabularies:
        found.update(words.encode())

    def take(part: str) -> None:
        upcast = blueprint.parts[part].force_upcast
        found.update(f"{part} {upcast} {_text(networks[part].config)}".encode())
        for name, told in sorted(digests[part].items()):
            found.update(f"{name} {told} ".encode())

    for part in sorted(networks.keys() - _NOT_OF_PICTURES):
        take(part)
    pictures = found.hexdigest()
    if "motion_adapter" in networks:
        take("motion_adapter")
    return pictures, found.hexdigest()


class WeightDigest:
    """SHA-256 of a weight in its file's dtype, from its pieces in order. It starts no thread.

    `known`: what it will be, in hex.
    """

    def __init__(self, known: str | None = None) -> None:
        self._sha = hashlib.sha256()
        self._known = known

    def take(self, piece: torch.Tensor) -> torch.Tensor:
        """Count a contiguous tensor of the CPU, and return it."""
        if self._known is None:
            self._sha.update(piece.view(BITS[piece.element_size()]).numpy().data)
        return piece

    def of(self, stored: StoredTensor) -> str:
        """Dtype, shape and digest of the weight, all of which was taken."""
        return f"{stored.dtype} {stored.shape} {self._known or self._sha.hexdigest()}"


def vocabulary(tokenizer: Any) -> str:
    """All that decides which ids a prompt becomes; a call itself says how it truncates and pads."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    special = (
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        tokenizer.model_max_length,
    )
    return json.dumps([*(backend[part] for part in _TOKENIZING), *special])


def _text(config: Any) -> str:
    options: Mapping[str, Any] = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    kept = {name: value for name, value in options.items() if not name.startswith(_ORIGIN)}
    return json.dumps(kept, sort_keys=True, default=str)
