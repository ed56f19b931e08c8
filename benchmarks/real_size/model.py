"""A model of real size with random weights, in fp16, as a folder in diffusers layout and a file.

The weights of SD 1.5 and SDXL are not ours to give away, and neither loading nor drawing depends on
their values, unless they are zeros.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.gpu.architectures import SCHEDULER, SD15, SDXL, Config
from tests.worker.engine.models import published
from worker.engine.models import clip
from worker.engine.models.networks import NETWORKS

SIZES: Final[Mapping[str, Mapping[str, Config]]] = {"sd15": SD15, "sdxl": SDXL}
_PIPELINES: Final = {"sd15": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}


def folder_of(size: str, cache: Path) -> Path:
    """The folder of a size; written into `cache` unless it is there."""
    folder = cache / size
    if not (folder / "model_index.json").exists():
        _write_folder(size, folder)
    return folder


def file_of(size: str, cache: Path) -> Path:
    """The same model as a single file. Writing it takes three times its size of memory."""
    file = cache / f"{size}.safetensors"
    if not file.exists():
        draft = file.with_suffix(".draft")
        published.write(folder_of(size, cache), draft)
        draft.rename(file)
    return file


def _write_folder(size: str, folder: Path) -> None:
    torch.manual_seed(0)
    index: dict[str, Any] = {"_class_name": _PIPELINES[size]}
    for name, config in SIZES[size].items():
        network = NETWORKS[name]
        with torch.device("meta"):
            module: Any = network.make(config)
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        if "text" in name:
            module.config.save_pretrained(place)
        else:
            module.save_config(place)
        save_file(_weights(module), place / f"{network.stem}.safetensors", {"format": "pt"})
        index[name] = ["transformers" if "text" in name else "diffusers", network.name]
        if "text" in name:
            tokenizer = name.replace("text_encoder", "tokenizer")
            clip.tokenizer().save_pretrained(folder / tokenizer)
            index[tokenizer] = ["transformers", "CLIPTokenizer"]
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    index["scheduler"] = ["diffusers", SCHEDULER["_class_name"]]
    if size == "sd15":
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None]}
        index["requires_safety_checker"] = False
    # Last: a folder without it is written again.
    (folder / "model_index.json").write_text(json.dumps(index, indent=1))


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Random weights that keep the variance of activations, so that nothing overflows."""
    return {name: _random(name, tensor.shape) for name, tensor in module.state_dict().items()}


def _random(name: str, shape: torch.Size) -> torch.Tensor:
    if len(shape) > 1:
        return torch.randn(shape).mul_(0.5 / math.sqrt(math.prod(shape[1:]))).half()
    return torch.full(shape, 0.0 if name.endswith("bias") else 1.0).half()
