"""The header of a safetensors file, checked against limits of our own before anything trusts it.

The format: eight bytes with the header's length, the header as JSON, then the tensors' bytes one
after another. https://github.com/huggingface/safetensors, "Format".
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, BinaryIO, Final

# SDXL in one file has a header of 0.4 MB.
MAX_HEADER_BYTES: Final = 8 * 1024**2
MAX_RANK: Final = 8
_LENGTH_BYTES: Final = 8

DTYPE_BYTES: Final = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: its dtype, its shape, and its bytes, from `begin` to `end` of the whole file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def count(self) -> int:
        """How many elements it has."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file holds: tensors by name, and its metadata."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def read_header(file: BinaryIO, *, max_bytes: int = MAX_HEADER_BYTES) -> Header:
    """Read and check a header. Raises ValueError with a sentence for users.

    Every byte after the header belongs to exactly one tensor, and every tensor has exactly the
    bytes that its shape and dtype need.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    begin = _LENGTH_BYTES + length
    if size < _LENGTH_BYTES or begin > size:
        raise ValueError("It is not a safetensors file, or it was cut short in its header.")
    if length > max_bytes:
        raise ValueError(f"Its header has {length} bytes; {max_bytes} are allowed.")
    header = _parse(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not _is_object_of_strings(metadata):
        raise ValueError("Its metadata must be strings by name.")
    tensors = {name: _tensor(name, fields, begin) for name, fields in header.items()}
    _check_ranges(tensors.values(), begin, size)
    return Header(tensors, metadata)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw.decode(), object_pairs_hook=_unique)
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"Its header is not JSON ({type(error).__name__}).") from error
    if not isinstance(header, dict):
        raise ValueError("Its header is not a JSON object.")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("Its header repeats a name.")
    return found


def _tensor(name: str, fields: Any, data_begin: int) -> TensorInfo:
    if not (isinstance(fields, dict) and fields.keys() == {"dtype", "shape", "data_offsets"}):
        raise ValueError(f"Its tensor {name!r} needs dtype, shape and data_offsets, and no more.")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not (isinstance(dtype, str) and dtype in DTYPE_BYTES):
        raise ValueError(f"Its tensor {name!r} has an unknown dtype.")
    if not (_are_counts(shape) and len(shape) <= MAX_RANK):
        raise ValueError(f"Its tensor {name!r} has no valid shape.")
    if not (_are_counts(offsets) and len(offsets) == 2):
        raise ValueError(f"Its tensor {name!r} has no valid data_offsets.")
    begin, end = offsets
    if end - begin != prod(shape) * DTYPE_BYTES[dtype]:
        raise ValueError(f"The size of its tensor {name!r} does not match its shape and dtype.")
    return TensorInfo(dtype, tuple(shape), data_begin + begin, data_begin + end)


def _check_ranges(tensors: Iterable[TensorInfo], begin: int, size: int) -> None:
    """Raise ValueError unless the tensors cover the file from `begin` to `size`, each byte once."""
    ranges = sorted((tensor.begin, tensor.end) for tensor in tensors)
    edges = [(begin, begin), *ranges, (size, size)]
    for (_, end), (next_begin, _) in pairwise(edges):
        if next_begin < end:
            raise ValueError("Its tensors overlap, or the file was cut short.")
        if next_begin > end:
            raise ValueError("It holds bytes that belong to no tensor.")


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _is_object_of_strings(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(word, str) for word in value.values())
