"""A T2I-Adapter in memory: the features that it makes of a picture, once a pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from latentry.errors import UnsupportedSize
from worker.engine.adapters.control.network import picture_tensor, read_network
from worker.engine.adapters.network_file import NetworkFile
from worker.engine.device import Device
from worker.engine.inputs.canvas import Pixels
from worker.engine.models.part import Part


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedT2IAdapter:
    """Mou et al. 2023, arXiv:2302.08453."""

    sha256: str
    network: Any
    at: Device
    size_bytes: int

    @classmethod
    def of(cls, file: NetworkFile, sha256: str, part: Part, at: Device) -> "LoadedT2IAdapter":
        """As `read_network`, which raises AdapterUnusable or AdapterGone."""
        return cls(sha256, read_network(file, sha256, part, at), at, part.size_bytes(at.dtype))

    def features(self, picture: Pixels, weight: float) -> tuple[torch.Tensor, ...]:
        """Of a picture, RGB bytes [H, W, 3], times a weight: [1, C, h, w] each.

        Raises UnsupportedSize for a picture that does not consist of its squares.
        """
        config = self.network.config
        height, width = picture.shape[:2]
        step = config.downscale_factor
        if height % step or width % step:
            raise UnsupportedSize(f"A control takes sides in multiples of {step} pixels.")
        if config.in_channels == 1:  # as Pillow's "L", which diffusers asks of its callers
            picture = np.asarray(Image.fromarray(picture).convert("L"))[:, :, None]
        found = self.network(picture_tensor(picture, self.at))
        return tuple(weight * feature for feature in found)
