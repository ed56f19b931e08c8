"""Weights in safetensors files whose headers were checked, and how they are read."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import torch

from latentry.errors import ConfigurationError
from worker.engine.file_state import FileState, file_state
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

    `scale`: what its values are to be multiplied by, as fp8 weights often are. `stat`: inode
    and state of the file when its header was read; another one by that name has other bytes at
    these places. None: any.
    """

    file: Path
    info: TensorInfo
    transposed: bool = False
    scale: float = 1.0
    stat: tuple[int, FileState] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape as the module gets it, after the transposition."""
        return self.info.shape[::-1] if self.transposed else self.info.shape

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of what `read` returns."""
        return self._stored_dtype if self.scale == 1.0 else torch.float32

    @property
    def _stored_dtype(self) -> torch.dtype:
        if self.info.dtype not in _DTYPES:
            raise ConfigurationError(
                f"{self.file} has weights of the type {self.info.dtype}, which is not supported."
            )
        return _DTYPES[self.info.dtype]

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
        tensor = torch.empty(self.info.shape, dtype=self._stored_dtype)
        raw = tensor.reshape(-1).view(torch.uint8).numpy()
        self._fill(raw.data, self.info.begin)
        if self.scale != 1.0:
            tensor = _scaled(tensor, self.scale)
        return _transposed(tensor) if self.transposed else tensor

    def bytes(self) -> bytes:
        """Its bytes as they are stored. Raises ConfigurationError."""
        raw = bytearray(self.info.end - self.info.begin)
        self._fill(memoryview(raw), self.info.begin)
        return bytes(raw)

    def values(self, raw: bytearray) -> torch.Tensor:
        """Of bytes that are its own, what `read` gives. Raises ConfigurationError."""
        tensor = torch.frombuffer(raw, dtype=self._stored_dtype).reshape(self.info.shape)
        if self.scale != 1.0:
            tensor = _scaled(tensor, self.scale)
        return _transposed(tensor) if self.transposed else tensor

    def pieces(self, size_bytes: int) -> Iterator[torch.Tensor]:
        """Its values as in `read`, some rows at a time: about so many bytes, and a row at least.

        Each piece is valid until the next one, which takes its place. Raises ConfigurationError.
        """
        shape = self.info.shape
        if self.transposed or not shape or not self.info.count:
            yield self.read()
            return
        row_bytes = (self.info.end - self.info.begin) // shape[0]
        rows = min(shape[0], max(1, size_bytes // row_bytes))
        buffer = torch.empty((rows, *shape[1:]), dtype=self._stored_dtype)
        for row in range(0, shape[0], rows):
            piece = buffer[: shape[0] - row]
            raw = piece.reshape(-1).view(torch.uint8).numpy()
            self._fill(raw.data, self.info.begin + row * row_bytes)
            yield piece if self.scale == 1.0 else _scaled(piece, self.scale)

    def _fill(self, buffer: memoryview, begin: int) -> None:
        """Fill a buffer with the bytes of its file from `begin` on."""
        try:
            with self.file.open("rb", buffering=0) as stream:
                if self.stat and not _is_same(self.stat, _stat(stream)):
                    raise ConfigurationError(f"{self.file} was replaced since it was looked at.")
                done = 0
                while done < len(buffer):
                    read = os.preadv(stream.fileno(), [buffer[done:]], begin + done)
                    if not read:
                        raise ConfigurationError(
                            f"{self.file} was cut short while it was being loaded."
                        )
                    done += read
        except OSError as error:
            raise ConfigurationError(f"{self.file} cannot be read: {error.strerror}.") from error


def read_in_order(tensors: Mapping[str, StoredTensor]) -> dict[str, torch.Tensor]:
    """All of them, in their files' dtypes and order: disks are fastest from front to back."""
    return {name: tensors[name].read() for name in in_order(tensors)}


def in_order(tensors: Mapping[str, StoredTensor]) -> list[str]:
    """The names of tensors in the order in which their bytes lie in their files."""
    return sorted(tensors, key=lambda name: (tensors[name].file, tensors[name].info.begin))


def stored_in(file: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """A file's tensors by name, and its metadata. Raises ConfigurationError."""
    header, stat = _header(file)
    tensors = {name: StoredTensor(file, info, stat=stat) for name, info in header.tensors.items()}
    return tensors, header.metadata


def _header(file: Path) -> tuple[Header, tuple[int, FileState]]:
    try:
        with file.open("rb") as stream:
            return read_header(stream), _stat(stream)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be loaded. {error}") from error


def _stat(stream: BinaryIO) -> tuple[int, FileState]:
    stat = os.fstat(stream.fileno())
    return stat.st_ino, file_state(stat)


def _is_same(before: tuple[int, FileState], now: tuple[int, FileState]) -> bool:
    """By its inode, though it may have been written to; where those are invented, by its state."""
    return before[0] == now[0] or before[1] == now[1]


def _transposed(tensor: torch.Tensor) -> torch.Tensor:
    """Its transpose, copied by numpy, which starts no threads."""
    bits = tensor.view(BITS[tensor.element_size()]).numpy()
    return torch.from_numpy(np.ascontiguousarray(bits.T)).view(tensor.dtype)


def _scaled(tensor: torch.Tensor, scale: float) -> torch.Tensor:
    """Its values times a scale, in fp32, by numpy: 8 bits have 256 values, which are looked up."""
    if tensor.element_size() == 1:
        values = torch.arange(256, dtype=torch.uint8).view(tensor.dtype).float().numpy()
        return torch.from_numpy((values * np.float32(scale))[tensor.view(torch.uint8).numpy()])
    if tensor.dtype is torch.bfloat16:  # the upper half of an fp32
        values = (tensor.view(torch.uint16).numpy().astype(np.uint32) << 16).view(np.float32)
    else:
        values = tensor.numpy().astype(np.float32)
    return torch.from_numpy(values * np.float32(scale))
