"""Inpainting with any model: after each call, what is not repainted is the picture again."""

from dataclasses import dataclass

import torch

from worker.engine.samplers import Level


@dataclass(frozen=True, slots=True, eq=False)
class Repaint:
    """What an image may change. As diffusers' StableDiffusionInpaintPipeline with four channels.

    repainted [1, h, w]: bool. latent, noise [C, h, w]: the picture, and the noise it started with.
    """

    repainted: torch.Tensor
    latent: torch.Tensor
    noise: torch.Tensor

    def blended(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        """x [C, h, w], with the picture at this level wherever nothing is repainted."""
        known = level.signal * self.latent + level.noise * self.noise
        return torch.where(self.repainted, x, known)
