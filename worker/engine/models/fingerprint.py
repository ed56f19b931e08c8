"""Which model this is, by its content: names, paths and files can lie or change."""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from worker.engine.models.blueprint import Blueprint
from worker.engine.models.weights import BITS

# No picture depends on what only shows how far it is.
_NOT_DRAWN: Final = {"taesd"}
_TOKENIZING: Final = ("added_tokens", "model", "normalizer", "pre_tokenizer")
# Where a model was loaded from and by which release do not change what it draws.
_HEARSAY: Final = ("_", "transformers_version")


def fingerprint(blueprint: Blueprint, networks: Mapping[str, nn.Module]) -> str:
    """SHA-256 of every weight as its file has it, every config, vocabulary and noise level.

    Reads all of it: about a second for each GB and core, in the thread that loads the model. A
    digest of headers and sizes would be free, and equal for every fine-tune of one base model.
    """
    found = hashlib.sha256(f"{blueprint.zeros_for_empty}".encode())
    for field in fields(blueprint.schedule):
        value = getattr(blueprint.schedule, field.name)
        found.update(value.tobytes() if isinstance(value, np.ndarray) else str(value).encode())
    for tokenizer in blueprint.tokenizers.values():
        found.update(_words(tokenizer()).encode())
    for part, network in sorted(networks.items()):
        if part in _NOT_DRAWN:
            continue
        overflows = blueprint.parts[part].overflows
        found.update(f"{part} {overflows} {_text(network.config)}".encode())
        weights = sorted(network.state_dict().items())
        with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter
            digests = list(pool.map(_digest, (weight for _, weight in weights)))
        for (name, weight), digest in zip(weights, digests, strict=True):
            found.update(f"{name} {weight.dtype} {tuple(weight.shape)} {digest} ".encode())
    return found.hexdigest()


def _digest(weight: torch.Tensor) -> str:
    # No arithmetic of torch here: each thread that computes would start a pool of OpenMP threads.
    bits = weight.detach().cpu().view(BITS[weight.element_size()]).numpy()
    return hashlib.sha256(np.ascontiguousarray(bits).data).hexdigest()


def _words(tokenizer: Any) -> str:
    """All that decides which numbers a prompt becomes; truncation and padding are asked for."""
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    special = (
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        tokenizer.model_max_length,
    )
    return json.dumps([*(told[part] for part in _TOKENIZING), *special])


def _text(config: Any) -> str:
    options: Mapping[str, Any] = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    told = {name: value for name, value in options.items() if not name.startswith(_HEARSAY)}
    return json.dumps(told, sort_keys=True, default=str)
