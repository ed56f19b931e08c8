"""The text encoder: a small CLIP text model that first learns to read scenes, then stays fixed.

Trained from noise together with the UNet it learns too slowly to be of use: the colours were still
ignored after 1,500 steps. So it first learns to predict the scene from its last token.
"""

from __future__ import annotations

import random

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tools.scenes.captions import caption
from tools.scenes.scene import COLOURS, POSITIONS, SHAPES, SIZES, Scene, Thing, sample_scene
from tools.training import checkpoints, loop
from tools.training.loop import Course, adamw, cosine
from tools.training.tokenizer import LENGTH

WIDTH = 128
STEPS = 1800
BATCH = 96
SHORT = 36  # tokens; no caption is longer, and the full window costs twice as much
PEAK_RATE = 1.5e-3
# Predicted from the last token: the background, then colour, shape, size, position of two things.
CHOICES: list[tuple[str, ...]] = [tuple(COLOURS)]
CHOICES += [tuple(COLOURS), SHAPES, tuple(SIZES), tuple(POSITIONS)] * 2


def build(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder for the tokenizer's vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def tokenize(tokenizer: CLIPTokenizer, captions: list[str], length: int = LENGTH) -> torch.Tensor:
    """Token ids padded to `length`, as the stock pipeline makes them."""
    batch = tokenizer(
        captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    ids: torch.Tensor = batch.input_ids
    return ids


def targets_of(scene: Scene) -> list[int]:
    """The scene as class numbers, in the order of `CHOICES`; −100 where there is no such thing."""
    numbers = [CHOICES[0].index(scene.background)]
    for slot in range(2):
        if slot < len(scene.things):
            numbers += _thing_targets(scene.things[slot])
        else:
            numbers += [-100] * 4
    return numbers


def _thing_targets(thing: Thing) -> list[int]:
    words = (thing.colour, thing.shape, thing.size, thing.position)
    return [options.index(word) for options, word in zip(CHOICES[1:5], words, strict=True)]


class Reader(nn.Module):
    """Heads that read the attributes off the last token; thrown away after the training."""

    def __init__(self) -> None:
        """One linear head per attribute, and one for the number of things."""
        super().__init__()
        self.count = nn.Linear(WIDTH, 2)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, len(options)) for options in CHOICES)

    def forward(self, token: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy over all attributes."""
        count = (targets[:, 5] >= 0).long()
        losses = [cross_entropy(self.count(token), count)]
        for head, target in zip(self.heads, targets.unbind(1), strict=True):
            losses.append(cross_entropy(head(token), target, ignore_index=-100))
        return torch.stack(losses).mean()


def _loss(
    encoder: CLIPTextModel, reader: Reader, tokenizer: CLIPTokenizer, step: int
) -> torch.Tensor:
    rng = random.Random(step)
    scenes = [sample_scene(rng, pairs=0.45) for _ in range(BATCH)]
    captions = [caption(scene, rng, empty=0.02) for scene in scenes]
    ids = tokenize(tokenizer, captions, SHORT if step % 8 else LENGTH)
    hidden = encoder(ids).last_hidden_state
    # Any padding token may be chosen: the UNet reads them all, and all can hold the summary.
    ends = (ids == tokenizer.eos_token_id).float()
    chosen = torch.multinomial(ends, 2)
    targets = torch.tensor([targets_of(scene) for scene in scenes])
    rows = torch.arange(BATCH)
    losses = [reader(hidden[rows, chosen[:, k]], targets) for k in range(2)]
    return sum(losses, torch.zeros(())) / 2


def train(tokenizer: CLIPTokenizer) -> None:
    """Train from the last checkpoint to the end."""
    torch.manual_seed(2)
    encoder, reader = build(tokenizer), Reader()
    both = nn.ModuleList([encoder, reader])
    course = Course("text", STEPS, cosine, save_every=300)
    loop.train(
        course,
        both,
        adamw(both, PEAK_RATE),
        lambda step: _loss(encoder, reader, tokenizer, step),
    )


def trained(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The encoder of the last checkpoint, without the heads that taught it."""
    both = nn.ModuleList([build(tokenizer), Reader()])
    both.load_state_dict(checkpoints.require("text")["model"])
    encoder: CLIPTextModel = both[0]
    return encoder.eval().requires_grad_(False)
