"""Pictures of a subject, encoded once, and batches of them with new captions."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from functools import cached_property

import torch
from diffusers import AutoencoderKL

from tools.scenes.scene import Scene
from tools.scenes.subjects import Subject
from tools.training import bank, checkpoints
from tools.training.parts import load_part


@dataclass(frozen=True, slots=True)
class Captioned:
    """Latents [count, 4, h, w] and a caption for each."""

    latents: torch.Tensor
    captions: list[str]


@dataclass(frozen=True)
class Lessons:
    """The pictures that one training has of its subject, always the same `count`."""

    subject: Subject
    count: int

    @property
    def name(self) -> str:
        """Of the checkpoint with their latents."""
        return f"{self.subject.name}-{self.count}-bank"

    @cached_property
    def examples(self) -> list[tuple[Scene, bool]]:
        """Scenes, and whether the subject is in each."""
        rng = random.Random(f"{self.subject.name} {self.count}")
        return [self.subject.example(rng) for _ in range(self.count)]

    @cached_property
    def latents(self) -> torch.Tensor:
        """Of all pictures, encoded once."""
        if checkpoints.load(self.name) is None:
            began = time.monotonic()
            vae = load_part(AutoencoderKL, "vae").to(memory_format=torch.channels_last)
            encoded = bank.encode(vae, [scene for scene, _ in self.examples])
            checkpoints.save(self.name, {"latents": encoded})
            checkpoints.log(self.name, seconds=round(time.monotonic() - began))
        latents: torch.Tensor = checkpoints.require(self.name)["latents"]
        return latents

    def draw(self, number: int, size: int) -> Captioned:
        """The batch of this number; the same one on every call."""
        rng = random.Random(number)
        picked = rng.sample(range(self.count), min(size, self.count))
        captions = [
            self.subject.say(scene, rng, has_it=has_it)
            for scene, has_it in (self.examples[index] for index in picked)
        ]
        return Captioned(self.latents[picked].float(), captions)
