"""An embedding in memory: its vectors on the device, in a model's precision."""

from dataclasses import dataclass

import torch

from worker.engine.adapters.embedding.layout import Vectors, count
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.tensors import moved, read
from worker.engine.device import Device


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedEmbedding:
    """vectors [vectors, width]: for each text encoder of a model in their order."""

    sha256: str
    vectors: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, file: AdapterFile, vectors: Vectors, at: Device) -> "LoadedEmbedding":
        """Raises AdapterUnusable for vectors that are too large for the precision."""
        return cls(
            file.sha256,
            tuple(
                moved(read(file, one), (count(one), one.shape[-1]), f"vectors for {name}", at)
                for name, one in vectors.items()
            ),
        )

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return sum(one.nbytes for one in self.vectors)
