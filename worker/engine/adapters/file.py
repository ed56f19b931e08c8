"""An adapter's file, read once as a whole: what is checked, hashed and loaded is the same bytes."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from latentry.errors import AdapterUnusable
from worker.engine.models.safetensors_header import DTYPE_BYTES, Header, TensorInfo, read_header

MAX_FILE_BYTES: Final = 2**31
# Folders of one adapter: what peft and diffusers call a config, and the weights beside it.
FOLDERS: Final = {
    "adapter_config.json": ("adapter_model.safetensors",),
    "config.json": tuple(
        f"diffusion_pytorch_model{precision}.safetensors" for precision in ("", ".fp16", ".bf16")
    ),
}
_MAX_CONFIG_BYTES: Final = 2**20
# An unsigned integer of each float's size, and the bits that are all set where it is not finite.
_NOT_FINITE: Final = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),  # no infinities, and one not-a-number of each sign
}
# What an alpha may be, but no weight.
_INTEGERS: Final = {
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip
_PIECE: Final = 2**20  # elements looked at in one go


@dataclass(frozen=True)
class AdapterFile:
    """A safetensors file, and the config beside it in a folder that peft or diffusers wrote.

    folder: where it is.
    """

    name: str
    data: bytes
    header: Header
    config: Mapping[str, Any] | None = None
    folder: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a `.safetensors` file, or a folder. Raises AdapterUnusable."""
        config, weights = None, path
        if path.is_dir():
            parts = parts_of_folder(path)
            if parts is None:
                raise AdapterUnusable("It is a folder without a config and weights beside it.")
            config, weights = config_in(parts[0]), parts[1]
        read = cls.of(path.name, _bytes(weights, MAX_FILE_BYTES), config)
        return replace(read, folder=path.parent)

    @classmethod
    def of(cls, name: str, data: bytes, config: Mapping[str, Any] | None = None) -> Self:
        """From its bytes. Raises AdapterUnusable."""
        try:
            header = read_header(io.BytesIO(data))
        except ValueError as error:
            raise AdapterUnusable(str(error)) from None
        return cls(name, data, header, config)

    @cached_property
    def sha256(self) -> str:
        """Of the file; of a folder's weights and config."""
        found = hashlib.sha256(self.data)
        if self.config is not None:
            found.update(json.dumps(self.config, sort_keys=True).encode())
        return found.hexdigest()

    @cached_property
    def autov3(self) -> str:
        """AUTOMATIC1111's short hash: of all that comes after the header."""
        length = int.from_bytes(self.data[:8], "little")
        return hashlib.sha256(memoryview(self.data)[8 + length :]).hexdigest()[:12]

    @property
    def class_name(self) -> str:
        """The class of diffusers' that a folder's config names; empty if it names none."""
        return str((self.config or {}).get("_class_name", ""))

    @property
    def metadata(self) -> Mapping[str, str]:
        """What its makers wrote into its header."""
        return self.header.metadata

    def bits(self, tensor: TensorInfo) -> np.ndarray[Any, Any]:
        """A tensor's values as unsigned integers, flat. Raises AdapterUnusable for integers."""
        if tensor.dtype not in _NOT_FINITE:
            raise AdapterUnusable(
                f"It has weights of the type {tensor.dtype}, which is not supported."
            )
        kind, _ = _NOT_FINITE[tensor.dtype]
        return np.frombuffer(self.data, kind, tensor.count, tensor.begin)

    def number(self, name: str) -> float:
        """The value of a tensor of one element. Raises AdapterUnusable."""
        tensor = self.header.tensors[name]
        if tensor.count != 1:
            raise AdapterUnusable(f"Its {name} must be one number.")
        if tensor.dtype in _INTEGERS:
            return float(np.frombuffer(self.data, _INTEGERS[tensor.dtype], 1, tensor.begin)[0])
        bits = int(self.bits(tensor)[0])
        if tensor.dtype == "BF16":
            return float(np.uint32(bits << 16).view(np.float32))
        size = DTYPE_BYTES[tensor.dtype]
        if size == 1:
            raise AdapterUnusable(f"Its {name} must be a number of 16 bits or more.")
        return float(np.frombuffer(self.data, f"<f{size}", 1, tensor.begin)[0])

    def refuse_non_finite(self) -> None:
        """Raises AdapterUnusable if a weight is infinite or not a number."""
        for name, tensor in self.header.tensors.items():
            if tensor.dtype in _INTEGERS and name.endswith(".alpha"):
                continue
            if not are_finite(self.bits(tensor), tensor.dtype):
                raise AdapterUnusable(f"Its {name} has values that are not finite.")


def parts_of_folder(folder: Path) -> tuple[Path, Path] | None:
    """The config and weights of a folder that is one adapter; None if it is none."""
    for config, weights in FOLDERS.items():
        found = [folder / name for name in weights if (folder / name).exists()]
        if found and (folder / config).exists():
            return folder / config, found[0]
    return None


def are_finite(bits: np.ndarray[Any, Any], dtype: str) -> bool:
    """Whether all values are finite, which are of this dtype and here as integers or bytes."""
    kind, ones = _NOT_FINITE[dtype]
    bits, mask = bits.view(kind), np.dtype(kind).type(ones)
    pieces = (bits[begin : begin + _PIECE] for begin in range(0, len(bits), _PIECE))
    return not any(((piece & mask) == mask).any() for piece in pieces)


def config_in(path: Path) -> Mapping[str, Any]:
    """The config of an adapter's folder. Raises AdapterUnusable."""
    try:
        config = json.loads(_bytes(path, _MAX_CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        raise AdapterUnusable(f"Its {path.name} is not readable: {error}") from None
    if not isinstance(config, dict):
        raise AdapterUnusable(f"Its {path.name} is not a JSON object.")
    return config


def _bytes(path: Path, most: int) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise AdapterUnusable(f"{path.name} is no file.")
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise AdapterUnusable(f"{path.name} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise AdapterUnusable(f"{path.name} has more than {most} bytes.")
    return data
