"""Weights in vetted safetensors files, and their way into memory without any computing."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from latentry.errors import ConfigurationError
from worker.engine.models.safetensors_header import Entry, Header, read_header

_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
# numpy knows neither bfloat16 nor eight bits; bits are bits.
BITS: Final = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor in a file; `transposed` if the module wants it so."""

    file: Path
    entry: Entry
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape as the module gets it."""
        return self.entry.shape[::-1] if self.transposed else self.entry.shape

    def reshaped(self, *shape: int) -> "StoredTensor":
        """The same bytes under another shape."""
        return replace(self, entry=replace(self.entry, shape=shape))

    def third(self, k: int) -> "StoredTensor":
        """The k-th third of its rows: queries, keys and values are often stored as one."""
        rows, *rest = self.entry.shape
        length = (self.entry.end - self.entry.begin) // 3
        begin = self.entry.begin + k * length
        shape = (rows // 3, *rest)
        return replace(
            self, entry=replace(self.entry, shape=shape, begin=begin, end=begin + length)
        )

    def read(self) -> torch.Tensor:
        """Its numbers, in the file's precision. Raises ConfigurationError.

        Bytes are read, nothing is computed: this may run beside the step loop without waking
        torch's own threads (docs/decisions/0004).
        """
        tensor = torch.empty(self.entry.shape, dtype=_DTYPES[self.entry.dtype])
        raw = tensor.reshape(-1).view(torch.uint8).numpy()
        _fill(raw.data, self.file, self.entry.begin)
        if self.transposed:
            return _transposed(tensor)
        return tensor


def stored_in(file: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The floating-point tensors of a vetted file, and its metadata. Raises ConfigurationError."""
    header = _header(file)
    tensors = {
        name: StoredTensor(file, entry)
        for name, entry in header.tensors.items()
        if entry.dtype in _DTYPES  # position ids and step counts; nothing of ours needs them
    }
    return tensors, header.metadata


def weights_in(folder: Path, stem: str, *, half: bool) -> dict[str, StoredTensor]:
    """All weights of one part of a model. Raises ConfigurationError with a sentence."""
    names = choose([path.name for path in folder.glob("*")], stem, half=half)
    if not names:
        raise ConfigurationError(_missing(folder))
    shards = re.search(r"-of-(\d+)", names[0])
    if shards and len(names) != int(shards[1]):
        raise ConfigurationError(f"{folder} has {len(names)} of its {int(shards[1])} shards.")
    found: dict[str, StoredTensor] = {}
    for name in names:
        found |= stored_in(folder / name)[0]
    return found


def choose(names: Iterable[str], stem: str, *, half: bool) -> list[str]:
    """Which of a folder's files to load: one set of weights, in the precision that is wanted.

    They lie whole in `stem.safetensors` or in shards (`-00001-of-00002`; each says itself what it
    holds, so their index is not needed), and often once more in half precision (`.fp16`).
    """
    pattern = rf"{stem}(\.fp16)?(-\d+-of-\d+)?(\.fp16)?\.safetensors"
    found = [match for name in sorted(names) if (match := re.fullmatch(pattern, name))]
    halves = [match for match in found if match[1] or match[3]]
    if halves and (half or halves == found):
        wanted = halves
    else:
        wanted = [match for match in found if match not in halves]
    whole = [match for match in wanted if not match[2]]
    return [match.string for match in whole or wanted]


def _missing(folder: Path) -> str:
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
    """In numpy, which copies in this thread alone."""
    bits = tensor.view(BITS[tensor.element_size()]).numpy()
    return torch.from_numpy(np.ascontiguousarray(bits.T)).view(tensor.dtype)
