"""A model before its weights are read: what it can do, what it costs, and how to build it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from latentry.contracts import ModelCard
from worker.engine.models.part import Part
from worker.engine.samplers.schedule import NoiseSchedule


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything about a model but its weights.

    `parts`: its networks by name, as a folder in diffusers layout calls them. `tokenizers`: what
    makes each. `strict_rows`: rows of every UNet call of strict mode. `zeros_for_empty`: diffusers'
    force_zeros_for_empty_prompt, by which SDXL takes zeros for an empty negative prompt.
    """

    card: ModelCard
    schedule: NoiseSchedule
    parts: Mapping[str, Part]
    tokenizers: Mapping[str, Callable[[], Any]]
    strict_rows: int = 8
    zeros_for_empty: bool = True

    @property
    def identity(self) -> str:
        """Which files and configs it is made of: as long as it is the same, so is all but values
        that were changed behind the file system's times.
        """
        return repr([self.card.family, *(self.parts[name].identity for name in sorted(self.parts))])

    @property
    def is_xl(self) -> bool:
        """Whether it is an SDXL, with two text encoders and size conditioning."""
        return "text_encoder_2" in self.parts

    def size_bytes(self, dtype: torch.dtype, *, without: Collection[str] = ()) -> int:
        """Bytes of its weights in memory, in this dtype, `without` some of its parts."""
        return sum(
            part.size_bytes(dtype) for name, part in self.parts.items() if name not in without
        )
