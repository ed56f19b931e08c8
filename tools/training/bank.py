"""Precomputed latents, one bank per picture size, so that training the UNet need not encode."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL

from tools.scenes.drawing import draw
from tools.scenes.scene import Scene, sample_scene
from tools.training import checkpoints
from tools.training.vae import to_tensor

NATIVE = (128, 128)
SIDES = (96, 128, 160, 192)
SIZES = [NATIVE, *((w, h) for w in SIDES for h in SIDES if (w, h) != NATIVE)]
ROUNDS = 8
NATIVE_COUNT = 2_000  # pictures of a size in one round
OTHER_COUNT = 100


@dataclass(frozen=True, slots=True)
class Bank:
    """Scenes of one size and their latents."""

    scenes: list[Scene]
    latents: torch.Tensor


def scenes_of(width: int, height: int, turn: int) -> list[Scene]:
    """The scenes of one size and round, always the same."""
    rng = random.Random(f"bank {width} {height} {turn}")
    count = NATIVE_COUNT if (width, height) == NATIVE else OTHER_COUNT
    return [sample_scene(rng, width, height, pairs=0.35) for _ in range(count)]


@torch.no_grad()
def encode(vae: AutoencoderKL, scenes: list[Scene], at_once: int = 16) -> torch.Tensor:
    """The scenes' latents in half precision."""
    parts = []
    for start in range(0, len(scenes), at_once):
        pictures = to_tensor([draw(scene) for scene in scenes[start : start + at_once]])
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        parts.append(vae.encode(pictures).latent_dist.mean.half())
    return torch.cat(parts).contiguous()


def build(vae: AutoencoderKL) -> None:
    """Encode the missing rounds; training can begin after the first."""
    for turn in range(ROUNDS):
        if checkpoints.load(f"bank-{turn}") is None:
            began = time.monotonic()
            latents = {f"{w}x{h}": encode(vae, scenes_of(w, h, turn)) for w, h in SIZES}
            checkpoints.save(f"bank-{turn}", latents)
            checkpoints.log("bank", turn=turn, seconds=round(time.monotonic() - began))


def load() -> list[Bank]:
    """The banks of all finished rounds, in the order of `SIZES`."""
    rounds = [state for turn in range(ROUNDS) if (state := checkpoints.load(f"bank-{turn}"))]
    if not rounds:
        raise FileNotFoundError("there is no bank: run the bank stage first")
    return [
        Bank(
            [scene for turn in range(len(rounds)) for scene in scenes_of(width, height, turn)],
            torch.cat([state[f"{width}x{height}"] for state in rounds]),
        )
        for width, height in SIZES
    ]
