"""A ControlNet in memory: what it makes of a picture once, and of rows at each call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
from torch import nn

from latentry.contracts import ControlMode
from worker.engine.adapters.control.network import picture_tensor, read_network
from worker.engine.adapters.network_file import NetworkFile
from worker.engine.device import Device
from worker.engine.inputs.canvas import Pixels
from worker.engine.models.part import Part

# x, timesteps, text embeddings and SDXL's conditions of rows of a UNet call.
Tensors: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Mapping[str, torch.Tensor]]

# AUTOMATIC1111's extension, scripts/hook.py: what deeper blocks say counts more.
_SOFT: Final = 0.825
_DEEPEST: Final = 12


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedControl:
    """Zhang et al. 2023, arXiv:2302.05543. `embedding`: the part that sees the picture alone."""

    sha256: str
    network: Any
    embedding: Any
    at: Device
    size_bytes: int
    reads_bgr: bool
    pools: bool

    @classmethod
    def of(cls, file: NetworkFile, sha256: str, part: Part, at: Device) -> "LoadedControl":
        """As `read_network`, which raises AdapterUnusable or AdapterGone."""
        network = read_network(file, sha256, part, at)
        embedding = network.controlnet_cond_embedding
        # What it makes of a picture is the same at each call, and given instead of the picture.
        network.controlnet_cond_embedding = nn.Identity()
        config = network.config
        reads_bgr = config.controlnet_conditioning_channel_order == "bgr"
        network.register_to_config(controlnet_conditioning_channel_order="rgb")
        size = part.size_bytes(at.dtype)
        return cls(
            sha256, network, embedding, at, size, reads_bgr, bool(config.global_pool_conditions)
        )

    def embedded(self, picture: Pixels) -> torch.Tensor:
        """What it sees in a picture, RGB bytes [H, W, 3]: [1, C, h, w]."""
        values = picture_tensor(picture, self.at)
        found: torch.Tensor = self.embedding(values.flip(1) if self.reads_bgr else values)
        return found

    def residuals(self, rows: Tensors, seen: torch.Tensor) -> list[torch.Tensor]:
        """For each skip connection in order, and for the middle: [rows, C, h, w].

        seen [rows, C, h, w]: what `embedded` gives, for each row.
        """
        x, t, hidden, added = rows
        down, middle = self.network(
            x[:, : self.network.config.in_channels],
            t,
            encoder_hidden_states=hidden,
            controlnet_cond=seen,
            added_cond_kwargs=added,
            return_dict=False,
        )
        return [*down, middle]

    def scales(self, mode: ControlMode, weight: float, count: int) -> Sequence[float]:
        """What each of so many residuals is multiplied by; diffusers' guess mode by logspace."""
        if mode is ControlMode.GUESS and not self.pools:
            return [weight * 10 ** (number / (count - 1) - 1) for number in range(count)]
        if mode in (ControlMode.PROMPT, ControlMode.CONTROL):
            return [weight * _SOFT ** (_DEEPEST - number) for number in range(count)]
        return [weight] * count
