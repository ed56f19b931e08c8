"""Weights in safetensors files whose headers were checked, and how they are read."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from latentry.errors import ConfigurationError
from worker.engine.models.safetensors_header import Header, TensorInfo, read_header

_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
# Integers of the same size, in bytes: numpy has neither bfloat16 nor an 8-bit float.
BITS: Final = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor in a file; `transposed` if the module wants the transpose of what is stored.

    `scale`: what its values are to be multiplied by, as fp8 weights often are.
    """

    file: Path
    info: TensorInfo
    transposed: bool = False
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape as the module gets it, after the transposition."""
        return self.info.shape[::-1] if self.transposed else self.info.shape

    def reshaped(self, *shape: int) -> "StoredTensor":
        """The same bytes under another shape."""
        return replace(self, info=replace(self.info, shape=shape))

    def third(self, k: int) -> "StoredTensor":
        """The k-th third of its rows, k from 0: OpenCLIP stores queries, keys and values as one."""
        rows, *rest = self.info.shape
        length = (self.info.end - self.info.begin) // 3
        begin = self.info.begin + k * length
        shape = (rows // 3, *rest)
        return replace(self, info=replace(self.info, shape=shape, begin=begin, end=begin + length))

    def read(self) -> torch.Tensor:
        """Its values on the CPU, in the file's dtype, or in fp32 if it has a scale.

        Bytes are read, nothing is computed by torch: in a thread beside the step loop this must not
        start torch's own threads (docs/decisions/0004). Raises ConfigurationError.
        """
        if self.info.dtype not in _DTYPES:
            raise ConfigurationError(
                f"{self.file} has weights of the type {self.info.dtype}, which is not supported."
            )
        tensor = torch.empty(self.info.shape, dtype=_DTYPES[self.info.dtype])
        raw = tensor.reshape(-1).view(torch.uint8).numpy()
        _fill(raw.data, self.file, self.info.begin)
        if self.scale != 1.0:
            tensor = _scaled(tensor, self.scale)
        return _transposed(tensor) if self.transposed else tensor

    def bytes(self) -> bytes:
        """Its bytes as they are stored. Raises ConfigurationError."""
        raw = bytearray(self.info.end - self.info.begin)
        _fill(memoryview(raw), self.file, self.info.begin)
        return bytes(raw)


def stored_in(file: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """A file's tensors by name, and its metadata. Raises ConfigurationError."""
    header = _header(file)
    tensors = {name: StoredTensor(file, info) for name, info in header.tensors.items()}
    return tensors, header.metadata


def _header(file: Path) -> Header:
    try:
        with file.open("rb") as stream:
            return read_header(stream)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be loaded. {error}") from error


def _fill(buffer: memoryview, file: Path, begin: int) -> None:
    """Fill a buffer with the bytes of a file from `begin` on."""
    try:
        with file.open("rb", buffering=0) as stream:
            done = 0
            while done < len(buffer):
                read = os.preadv(stream.fileno(), [buffer[done:]], begin + done)
                if not read:
                    raise ConfigurationError(f"{file} was cut short while it was being loaded.")
                done += read
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error


def _transposed(tensor: torch.Tensor) -> torch.Tensor:
    """Its transpose, copied by numpy, which starts no threads."""
    bits = tensor.view(BITS[tensor.element_size()]).numpy()
    return torch.from_numpy(np.ascontiguousarray(bits.T)).view(tensor.dtype)


def _scaled(tensor: torch.Tensor, scale: float) -> torch.Tensor:
    """Its values times a scale, in fp32, by numpy: 8 bits have 256 values, which are looked up."""
    if tensor.element_size() > 1:
        return torch.from_numpy(tensor.float().numpy() * np.float32(scale))
    values = torch.arange(256, dtype=torch.uint8).view(tensor.dtype).float().numpy()
    bits = tensor.view(torch.uint8).numpy()
    return torch.from_numpy((values * np.float32(scale))[bits])
