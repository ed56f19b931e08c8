"""The bundled model's parts, as they are before something is trained beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTextModel, CLIPTokenizer

from tools.training import text

FOLDER = Path("models/shapes")


def load_part(kind: Any, name: str, folder: Path = FOLDER) -> Any:
    """A part of a model in diffusers' layout, in float32, frozen."""
    part = kind.from_pretrained(folder / name, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    return part.eval().requires_grad_(False)


def load_tokenizer(folder: Path = FOLDER) -> CLIPTokenizer:
    """The tokenizer of such a model."""
    return CLIPTokenizer.from_pretrained(folder / "tokenizer")


def hidden(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """What the UNet reads of the captions: [captions, tokens, width]."""
    states: torch.Tensor = encoder(text.tokenize(tokenizer, captions)).last_hidden_state
    return states
