"""An image encoder in memory: CLIP's vision tower, asked for one picture a call."""

from dataclasses import dataclass
from typing import Any, Final, Self

import torch

from latentry.errors import AdapterGone, AdapterUnusable, ConfigurationError
from worker.engine.adapters.ip_adapter.encoder_files import PART, EncoderFiles, digest
from worker.engine.device import Device
from worker.engine.inputs.canvas import Pixels
from worker.engine.inputs.clip_picture import SIDE
from worker.engine.models.loading.part_reader import PartReader

# Of the pictures that OpenAI trained CLIP with; OpenCLIP has kept them.
_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_STD: Final = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ImageEncoder:
    """Several IP-Adapters may have the same. From the thread of the steps, once it is loaded."""

    sha256: str
    network: Any
    size_bytes: int
    at: Device

    @classmethod
    def load(cls, files: EncoderFiles, sha256: str, at: Device) -> Self:
        """By the calling thread alone. Raises AdapterUnusable, or AdapterGone for other weights."""
        reader = PartReader({PART: files.part}, at, threads=1)
        try:
            network = reader.read(PART)
        except ConfigurationError as error:
            raise AdapterUnusable(f"Its image encoder is not usable. {error.message}") from None
        if digest(files.config, reader.digests[PART]) != sha256:
            raise AdapterGone
        return cls(sha256, network, files.size_bytes(at.dtype), at)

    @torch.inference_mode()
    def tell(self, picture: Pixels | None, *, hidden_states: bool) -> torch.Tensor:
        """What it says of a picture [SIDE, SIDE, 3], one a call: its bits depend on nothing else.

        Its embedding [width], or the hidden states [n, width] before its last layer. None: of no
        picture, which stock pipelines show it as zeros.
        """
        values = torch.zeros(3, SIDE, SIDE) if picture is None else _normalised(picture)
        values = values[None].to(self.at.device, self.at.dtype, memory_format=self.at.memory_format)
        told = self.network(values, output_hidden_states=hidden_states)
        found: torch.Tensor = told.hidden_states[-2] if hidden_states else told.image_embeds
        return found[0]


def _normalised(picture: Pixels) -> torch.Tensor:
    values = torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(of)[:, None, None] for of in (_MEAN, _STD))
    return (values - mean) / std
