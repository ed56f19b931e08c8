"""The image encoder of an IP-Adapter before its weights are read: CLIP's vision tower."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from latentry.errors import AdapterUnusable, ConfigurationError
from worker.engine.inputs.clip_picture import SIDE
from worker.engine.models.loading.fingerprint import WeightDigest
from worker.engine.models.part import Part
from worker.engine.models.sources.json_file import read_json
from worker.engine.models.sources.part_files import weights_in
from worker.engine.models.weights import StoredTensor

PART: Final = "image_encoder"
_STEM: Final = "model"
_PIECE_BYTES: Final = 2**20
# Nothing else of its config is read: it could name code on a hub (`attn_implementation`).
_OPTIONS: Final = (
    *("hidden_act", "hidden_size", "image_size", "intermediate_size", "layer_norm_eps"),
    *("num_attention_heads", "num_channels", "num_hidden_layers", "patch_size", "projection_dim"),
)
# What a whole CLIP has besides, and a buffer that older versions of transformers saved.
_UNUSED: Final = re.compile(r"(text_model|text_projection)\..*|logit_scale|.*\.position_ids")
# The names of the tensors by which its widths are told apart.
_EMBEDDING: Final = "visual_projection.weight"
_HIDDEN: Final = "vision_model.pre_layrnorm.weight"


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """A folder with `config.json` and safetensors, as CLIPVisionModelWithProjection is saved."""

    config: Mapping[str, Any]
    part: Part

    @classmethod
    def read(cls, folder: Path) -> "EncoderFiles":
        """Its headers alone. Raises AdapterUnusable.

        Whatever a worker's precision, the same of several sets of weights: they are hashed.
        """
        try:
            config = _options(read_json(folder / "config.json"))
            found = weights_in(folder, _STEM, prefer_fp16=False)
        except ConfigurationError as error:
            raise AdapterUnusable(f"Its image encoder is not usable. {error.message}") from None
        if config.get("image_size", SIDE) != SIDE:
            size = config["image_size"]
            raise AdapterUnusable(f"Its image encoder takes {size!r} pixels; supported is {SIDE}.")
        weights = {name: one for name, one in found.items() if not _UNUSED.fullmatch(name)}
        return cls(config, Part(PART, partial(_make, config), weights))

    def gives(self, *, hidden_states: bool) -> int:
        """The width of its hidden states, or of its embedding; 0 if it has none."""
        stored = self.part.weights.get(_HIDDEN if hidden_states else _EMBEDDING)
        return stored.shape[0] if stored and stored.shape else 0

    def size_bytes(self, dtype: torch.dtype) -> int:
        """What it takes in memory."""
        return self.part.size_bytes(dtype)

    def sha256(self) -> str:
        """Of all that it says of pictures. Reads all of its weights. Raises AdapterUnusable."""
        try:
            return digest(self.config, {n: _told(one) for n, one in self.part.weights.items()})
        except ConfigurationError as error:
            raise AdapterUnusable(f"Its image encoder is not usable. {error.message}") from None


def digest(config: Mapping[str, Any], told: Mapping[str, str]) -> str:
    """A hash of a config and of what WeightDigest tells of each weight, by name."""
    found = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, one in sorted(told.items()):
        found.update(f"{name} {one} ".encode())
    return found.hexdigest()


def _told(stored: StoredTensor) -> str:
    one = WeightDigest()
    for piece in stored.pieces(_PIECE_BYTES):
        one.take(piece)
    return one.of(stored)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of a vision tower's config, or of that of a whole CLIP."""
    inner = config.get("vision_config")
    found = {**config, **inner} if isinstance(inner, dict) else config
    return {name: found[name] for name in _OPTIONS if name in found}


def _make(config: Mapping[str, Any]) -> nn.Module:
    try:
        made: Callable[..., nn.Module] = CLIPVisionModelWithProjection
        return made(CLIPVisionConfig(**config))
    except Exception as error:  # libraries raise anything for an unchecked config
        raise ConfigurationError(f"Its config is not usable: {error}") from error
