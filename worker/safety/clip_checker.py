"""Stable Diffusion's own safety checker: CLIP's picture of an image, compared with 17 concepts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from torch import nn
from torch.nn.functional import normalize
from transformers import CLIPConfig, CLIPVisionConfig

from latentry.errors import ConfigurationError
from worker.engine.device import Device
from worker.engine.loop import Pixels
from worker.engine.models.part import Part
from worker.engine.models.weights import StoredTensor, stored_in
from worker.safety.classifier import Prepared, Scores
from worker.safety.resizing import cropped

WEIGHTS: Final = "model.safetensors"
# OpenAI's CLIP: its image processor's mean and deviation of each channel.
_MEAN: Final = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_STD: Final = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
# Nothing else of its config is read: it could name code on a hub.
_OPTIONS: Final = (
    *("hidden_act", "hidden_size", "image_size", "intermediate_size", "layer_norm_eps"),
    *("num_attention_heads", "num_hidden_layers", "patch_size", "projection_dim"),
)
# How older versions of the libraries wrote what is one network less deep now.
_WRAPPED, _BARE = "vision_model.vision_model.", "vision_model."
_CARE: Final = 0.01  # what a special concept adds to all others
# Stock's verdict is at a score of 0.5; similarities are a few hundredths from their thresholds.
_SCALE: Final = 5.0
_DIGITS: Final = 3


class ClipChecker:
    """`nsfw` is 0.5 or more exactly where stock takes the picture for it; `special_care` likewise
    for the three concepts that make it stricter.
    """

    labels = ("nsfw", "special_care")

    def __init__(self, module: Any, at: Device) -> None:
        self._device = at.device
        self._dtype = torch.float32 if at.device.type == "cpu" else at.dtype
        self._module = module.to(self._device, self._dtype)
        self._side = int(module.config.vision_config.image_size)

    @classmethod
    def open(cls, folder: Path, at: Device) -> "ClipChecker":
        """From a folder as models in diffusers layout have it. Raises ConfigurationError."""
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            stored, _ = stored_in(folder / WEIGHTS)
        except (OSError, ValueError, RecursionError):
            why = f"{folder} needs config.json and {WEIGHTS}, of a StableDiffusionSafetyChecker."
            raise ConfigurationError(why) from None
        part = Part("safety checker", lambda: _network(config), _named(stored))
        return cls(part.read(), at)

    def prepared(self, pixels: Pixels) -> Prepared:
        """Its middle as [3, side, side]."""
        normal = (cropped(pixels, self._side) - _MEAN) / _STD
        return np.ascontiguousarray(normal.transpose(2, 0, 1))

    @torch.inference_mode()
    def scores(self, pictures: Sequence[Prepared]) -> Scores:
        """[pictures, 2], by `StableDiffusionSafetyChecker.forward` of diffusers 0.42."""
        if self._device.type == "cpu":
            torch.set_num_threads(1)  # of this thread: the others are the step loop's
        shown = torch.from_numpy(np.stack(pictures)).to(self._device, self._dtype)
        one = self._module
        seen = normalize(one.visual_projection(one.vision_model(shown)[1]))
        special = self._beyond(seen, one.special_care_embeds, one.special_care_embeds_weights)
        concepts = self._beyond(seen, one.concept_embeds, one.concept_embeds_weights)
        care = np.where((special.round(_DIGITS) > 0).any(1), _CARE, 0.0)
        margins = np.stack([(concepts + care[:, None]).max(1), special.max(1)], 1).round(_DIGITS)
        least = 10.0**-_DIGITS  # the least that stock takes for more than nothing
        return np.clip(0.5 + _SCALE * (margins - least), 0, 1).astype(np.float32)

    def _beyond(self, seen: Any, embeds: Any, thresholds: Any) -> Any:
        """By how much each picture is more like each concept than its threshold."""
        likeness = seen @ normalize(embeds).t()
        return likeness.float().cpu().numpy() - thresholds.float().cpu().numpy()


def _network(config: Mapping[str, Any]) -> nn.Module:
    """Raises ConfigurationError."""
    try:
        vision = config["vision_config"]
        sizes = {name: vision[name] for name in _OPTIONS if name in vision}
        whole = CLIPConfig(
            vision_config=CLIPVisionConfig(**sizes).to_dict(),
            projection_dim=int(config["projection_dim"]),
        )
        return StableDiffusionSafetyChecker(whole)  # type: ignore[no-any-return]
    except Exception as error:  # libraries raise anything for an unchecked config
        raise ConfigurationError(
            f"The config of the safety checker is not usable: {error}"
        ) from error


def _named(stored: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """As the libraries at hand name them, and without what is no weight."""
    return {
        name.replace(_WRAPPED, _BARE): tensor
        for name, tensor in stored.items()
        if not name.endswith(".position_ids")
    }
