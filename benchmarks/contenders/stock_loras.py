"""LoRAs in the stock pipeline, one for each call: by its own means, which need peft, or merged."""

import os
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers.utils import USE_PEFT_BACKEND
from safetensors.torch import load_file

from latentry.settings import Settings

HOW = "load_lora_weights and set_adapters" if USE_PEFT_BACKEND else "weights merged for each call"


class Loras(Protocol):
    """The LoRA files that LATENTRY_ADAPTERS names, for the UNet of a pipeline."""

    def wear(self, lora: str) -> None:
        """Let the next calls have this one alone, none if empty. Reads it at its first use."""


class SetAdapters:
    """As the documentation of diffusers says."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._worn = ""
        self._loaded: set[str] = set()

    def wear(self, lora: str) -> None:
        """See Loras."""
        if lora == self._worn:
            return
        self._worn = lora
        if not lora:
            self._pipeline.disable_lora()
            return
        if lora not in self._loaded:
            path = _path(lora)
            self._pipeline.load_lora_weights(
                str(path.parent), weight_name=path.name, adapter_name=lora
            )
            self._loaded.add(lora)
        self._pipeline.enable_lora()
        self._pipeline.set_adapters(lora)


class Merged:
    """Weights W + alpha / rank · B · A, made anew whenever another LoRA is next.

    Its calls cost what they cost without a LoRA, so this is never slower for long pictures.
    """

    def __init__(self, unet: torch.nn.Module) -> None:
        self._weights = {
            f"lora_unet_{path.replace('.', '_')}": module.weight
            for path, module in unet.named_modules()
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
        }
        self._worn = ""
        self._files: dict[str, dict[str, torch.Tensor]] = {}
        self._before: dict[str, torch.Tensor] = {}  # of the layers that are changed now

    @torch.no_grad()
    def wear(self, lora: str) -> None:
        """See Loras."""
        if lora == self._worn:
            return
        for layer, weight in self._before.items():
            self._weights[layer].copy_(weight)
        self._before.clear()
        self._worn = lora
        if not lora:
            return
        if lora not in self._files:
            self._files[lora] = load_file(_path(lora))
        file = self._files[lora]
        for layer in {name.partition(".")[0] for name in file}:
            weight = self._weights[layer]
            self._before[layer] = weight.clone()
            down, up = (
                file[f"{layer}.lora_{part}.weight"].float().flatten(1) for part in ("down", "up")
            )
            scale = float(file[f"{layer}.alpha"]) / len(down)
            weight.copy_(weight.float() + scale * (up @ down).reshape(weight.shape))


def loras_of(pipeline: Any) -> Loras:
    """Those of a pipeline, by the means that there are."""
    return SetAdapters(pipeline) if USE_PEFT_BACKEND else Merged(pipeline.unet)


def _path(lora: str) -> Path:
    """The file with this name in the folders that LATENTRY_ADAPTERS names."""
    folders = [source.path for source in Settings.from_env(os.environ).adapter_sources]
    return next(path for folder in folders for path in folder.glob(f"{lora}.safetensors"))
