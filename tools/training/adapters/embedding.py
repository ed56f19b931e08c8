"""Textual inversion: vectors that stand for a subject where the model itself stays as it is.

Gal et al., "An image is worth one word", 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from tools.scenes.subjects import Subject
from tools.training import checkpoints, loop, text
from tools.training.adapters import low_rank
from tools.training.adapters.lessons import Lessons
from tools.training.adapters.lora import Models
from tools.training.loop import Course, adamw, trapezoid

STEPS = 90
BATCH = 16
COUNT = 300
VECTORS = 2
START = "frog"  # a word for the kind of thing: the vectors begin as its own
STAND_IN = "logo"  # a word of one token that no caption has: the vectors come in its place
PEAK_RATE = 1e-2
AVERAGE_DECAY = 0.95


class Vectors(nn.Module):
    """The embedding: [vectors, width]."""

    def __init__(self, start: torch.Tensor) -> None:
        super().__init__()
        self.value = nn.Parameter(start.clone())


@contextmanager
def spoken(
    encoder: CLIPTextModel, tokenizer: CLIPTokenizer, vectors: torch.Tensor
) -> Iterator[None]:
    """The text encoder, which reads the stand-in as the next of the vectors, within the block."""
    token = _token(tokenizer, STAND_IN)

    def replaced(
        _layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> torch.Tensor:
        here = inputs[0] == token
        which = (here.cumsum(-1) - 1) % len(vectors)
        return torch.where(here[..., None], vectors[which], output)

    handle = encoder.get_input_embeddings().register_forward_hook(replaced)
    try:
        yield
    finally:
        handle.remove()


def written(caption: str, name: str, vectors: int = VECTORS) -> str:
    """The caption with the stand-in for the name, once for each vector."""
    return caption.replace(name, " ".join([STAND_IN] * vectors))


def read(models: Models, vectors: torch.Tensor, captions: list[str], name: str) -> torch.Tensor:
    """What the UNet reads of captions that contain the embedding's name."""
    with spoken(models.encoder, models.tokenizer, vectors):
        lines = [written(caption, name, len(vectors)) for caption in captions]
        states: torch.Tensor = models.encoder(
            text.tokenize(models.tokenizer, lines)
        ).last_hidden_state
    return states


def train(subject: Subject, steps: int | None = None) -> None:
    """Train from the last checkpoint to the end, keeping an average of the vectors."""
    torch.manual_seed(7)
    models, lessons, total = Models.load(), Lessons(subject, COUNT), steps or STEPS
    words = models.encoder.get_input_embeddings().weight
    vectors = Vectors(words[_token(models.tokenizer, START)].detach().repeat(VECTORS, 1))
    course = Course(name_of(subject), total, trapezoid(10, total // 2), AVERAGE_DECAY, 25, 50)

    def loss_of(number: int) -> torch.Tensor:
        batch = lessons.draw(number, BATCH)
        return models.loss(batch, read(models, vectors.value, batch.captions, subject.name))

    loop.train(course, vectors, adamw(vectors, PEAK_RATE, weight_decay=0.0), loss_of)


def name_of(subject: Subject) -> str:
    """Of its checkpoint."""
    return f"embedding-{subject.name}"


def trained(subject: Subject) -> torch.Tensor:
    """The averaged vectors of the last checkpoint: [vectors, width]."""
    value: torch.Tensor = checkpoints.require(name_of(subject))["average"]["value"]
    return value


def export(subject: Subject, path: Path) -> None:
    """Write it in A1111's layout: all vectors as `emb_params`; its name is the file's."""
    step = checkpoints.require(name_of(subject))["step"]
    about = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1/textual-inversion",
        "modelspec.title": subject.title,
        "modelspec.trigger_phrase": subject.name,
        "modelspec.license": "Apache-2.0",
        "ss_steps": step,
        "ss_seed": 7,
    }
    low_rank.save({"emb_params": trained(subject).contiguous()}, path, about)


def load(path: Path) -> torch.Tensor:
    """The vectors of such a file: [vectors, width]."""
    value: torch.Tensor = load_file(path)["emb_params"]
    return value


def _token(tokenizer: CLIPTokenizer, word: str) -> int:
    (number,) = tokenizer(word, add_special_tokens=False).input_ids
    return int(number)
