"""What a UNet is called with, eager or compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch

Tensors: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Mapping[str, torch.Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class UNetInputs:
    """The inputs of one call, row by row; x, hidden and added are in the model's precision.

    x [rows, C, h, w]: scaled latents. t [rows]: timesteps, fp32. hidden [rows, tokens, width]:
    text embeddings. added: diffusers' added_cond_kwargs, [rows, width] each; empty but for SDXL.
    """

    x: torch.Tensor
    t: torch.Tensor
    hidden: torch.Tensor
    added: Mapping[str, torch.Tensor]

    @property
    def rows(self) -> int:
        """How many rows the call has, padding included."""
        return len(self.x)

    @property
    def size(self) -> tuple[int, int, int]:
        """Latent height, latent width and tokens of the prompts, which a compiled call fixes."""
        return self.x.shape[2], self.x.shape[3], self.hidden.shape[1]

    @property
    def added_widths(self) -> dict[str, int]:
        """The widths of SDXL's conditions by their names."""
        return {name: value.shape[1] for name, value in self.added.items()}

    @property
    def tensors(self) -> Tensors:
        """The positional arguments of a compiled call."""
        return self.x, self.t, self.hidden, self.added
