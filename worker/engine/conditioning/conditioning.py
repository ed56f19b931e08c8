"""What the UNet is conditioned on for one image, row by row."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from latentry.contracts import JobWarning


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """The conditioning of an image's rows of a UNet call: the negative prompt's first, if guided.

    hidden [rows, tokens, width]: diffusers' encoder_hidden_states, 77 tokens a chunk. added:
    diffusers' added_cond_kwargs, empty for SD 1.x and 2.x; for SDXL text_embeds [rows, width], the
    pooled prompts, and time_ids [rows, 6] in pixels. All are on the device and in the model's
    dtype. warnings: what of the prompts was left out.
    """

    hidden: torch.Tensor
    added: Mapping[str, torch.Tensor]
    warnings: tuple[JobWarning, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of a UNet call: 2 with guidance, else 1."""
        return len(self.hidden)

    @property
    def unguided(self) -> "Conditioning":
        """The prompt's row alone."""
        return Conditioning(
            self.hidden[-1:], {name: rows[-1:] for name, rows in self.added.items()}
        )
