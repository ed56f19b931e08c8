"""Weights in safetensors files whose headers were checked, and how they are read."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
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
    """One tensor in a file; `transposed` if the module wants the transpose of what is stored."""

    file: Path
    info: TensorInfo
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape as the module gets it, after the transposition."""
        return self.info.shape[::-1] if self.transposed else self.info.shape

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of what is stored."""
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
        """Its values on the CPU, in the file's dtype. Raises ConfigurationError.

        Bytes are read, nothing is computed: in a thread beside the step loop this must not start
        torch's own threads (docs/decisions/0004).
        """
        tensor = torch.empty(self.info.shape, dtype=self.dtype)
        raw = tensor.reshape(-1).view(torch.uint8).numpy()
        _fill(raw.data, self.file, self.info.begin)
        if self.transposed:
            return _transposed(tensor)
        return tensor

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
        buffer = torch.empty((rows, *shape[1:]), dtype=self.dtype)
        for row in range(0, shape[0], rows):
            piece = buffer[: shape[0] - row]
            raw = piece.reshape(-1).view(torch.uint8).numpy()
            _fill(raw.data, self.file, self.info.begin + row * row_bytes)
            yield piece


def read_in_order(tensors: Mapping[str, StoredTensor]) -> dict[str, torch.Tensor]:
    """All of them, in their files' dtypes and order: disks are fastest from front to back."""
    return {name: tensors[name].read() for name in in_order(tensors)}


def in_order(tensors: Mapping[str, StoredTensor]) -> list[str]:
    """The names of tensors in the order in which their bytes lie in their files."""
    return sorted(tensors, key=lambda name: (tensors[name].file, tensors[name].info.begin))


def stored_in(file: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """A file's floating-point tensors by name, and its metadata. Raises ConfigurationError."""
    header = _header(file)
    tensors = {
        name: StoredTensor(file, info)
        for name, info in header.tensors.items()
        if info.dtype in _DTYPES  # integers are position ids and step counts, which no part needs
    }
    return tensors, header.metadata


def weights_in(folder: Path, stem: str, *, prefer_fp16: bool) -> dict[str, StoredTensor]:
    """The weights of one part of a model, by name. Raises ConfigurationError.

    `stem` and `prefer_fp16` as in `choose_files`.
    """
    names = choose_files([path.name for path in folder.glob("*")], stem, prefer_fp16=prefer_fp16)
    if not names:
        raise ConfigurationError(_missing(folder))
    shards = re.search(r"-of-(\d+)", names[0])
    if shards and len(names) != int(shards[1]):
        raise ConfigurationError(f"{folder} has {len(names)} of its {int(shards[1])} shards.")
    found: dict[str, StoredTensor] = {}
    for name in names:
        found |= stored_in(folder / name)[0]
    return found


def choose_files(names: Iterable[str], stem: str, *, prefer_fp16: bool) -> list[str]:
    """Which of a folder's files to load: one set of weights, once.

    They are one file, `stem.safetensors`, or shards (`-00001-of-00002`; each lists its own tensors,
    so their index is not needed), and often there is a second set in half precision (`.fp16`),
    which is taken if `prefer_fp16` or if there is no other.
    """
    pattern = rf"{stem}(\.fp16)?(-\d+-of-\d+)?(\.fp16)?\.safetensors"
    found = [match for name in sorted(names) if (match := re.fullmatch(pattern, name))]
    fp16 = [match for match in found if match[1] or match[3]]
    if fp16 and (prefer_fp16 or fp16 == found):
        wanted = fp16
    else:
        wanted = [match for match in found if match not in fp16]
    unsharded = [match for match in wanted if not match[2]]
    return [match.string for match in unsharded or wanted]


def _missing(folder: Path) -> str:
    """Why a folder without safetensors files cannot be loaded."""
    pickles = sorted(
        path.name for path in folder.glob("*") if path.suffix in (".bin", ".ckpt", ".pt")
    )
    if pickles:
        return (
            f"{folder} has only {pickles[0]}; pickles are not loaded, because they can run code. "
            "Convert it to safetensors where you trust it."
        )
    return f"{folder} has no .safetensors weights."


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
