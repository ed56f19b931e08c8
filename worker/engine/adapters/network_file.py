"""A network's file, which may be larger than memory has room for twice: it is read in one pass.

What is hashed, checked and converted are the same bytes, tensor by tensor in the file's order.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from latentry.errors import AdapterUnusable, ConfigurationError
from worker.engine.adapters.file import are_finite, config_in
from worker.engine.models.sources.scales import with_scales
from worker.engine.models.weights import StoredTensor, stored_in

MAX_FILE_BYTES: Final = 2**34
CONFIG: Final = "config.json"
WEIGHTS: Final = "diffusion_pytorch_model*.safetensors"


@dataclass(frozen=True)
class NetworkFile:
    """A safetensors file, or a folder in diffusers layout with its config. Its header is read."""

    path: Path
    tensors: Mapping[str, StoredTensor]
    metadata: Mapping[str, str]
    config: Mapping[str, Any] | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the header of a file, or of the one in a folder. Raises AdapterUnusable."""
        config, file = None, path
        if path.is_dir():
            config, file = config_in(path / CONFIG), _only(path)
        if file.exists() and not file.is_file():  # a pipe would be waited for without end
            raise AdapterUnusable(f"{file.name} is no file.")
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                raise AdapterUnusable(f"{file.name} has more than {MAX_FILE_BYTES} bytes.")
            tensors, metadata = stored_in(file)
        except OSError as error:
            raise AdapterUnusable(f"{file.name} cannot be read: {error.strerror}.") from None
        except ConfigurationError as error:
            raise AdapterUnusable(error.message) from None
        return cls(file, tensors, metadata, config)

    @cached_property
    def weights(self) -> Mapping[str, StoredTensor]:
        """Those of its network, with the scales that fp8 ones have. Raises AdapterUnusable."""
        try:
            return with_scales(self.path.name, self.tensors, self.metadata)
        except ConfigurationError as error:
            raise AdapterUnusable(error.message) from None

    @property
    def name(self) -> str:
        """Of the file or the folder, without an ending."""
        return self.path.stem if self.config is None else self.path.parent.name

    @property
    def size_bytes(self) -> int:
        """Of all its tensors, as they are stored."""
        return sum(one.info.end - one.info.begin for one in self.tensors.values())


class Reading:
    """One pass over a file: each tensor's bytes by its name, once they are checked.

    sha256 and autov3: of all that was read, as those of `AdapterFile`; at the end, of the file.
    """

    def __init__(self, file: NetworkFile) -> None:
        self._file = file
        self._whole, self._values = hashlib.sha256(), hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of the file; of a folder's weights and config."""
        found = self._whole.copy()
        if self._file.config is not None:
            found.update(json.dumps(self._file.config, sort_keys=True).encode())
        return found.hexdigest()

    @property
    def autov3(self) -> str:
        """AUTOMATIC1111's short hash: of all that comes after the header."""
        return self._values.hexdigest()[:12]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Raises AdapterUnusable, also for a weight that is not finite."""
        tensors = self._file.tensors
        names = sorted(tensors, key=lambda name: (tensors[name].info.begin, tensors[name].info.end))
        self._whole.update(_head(self._file.path, tensors[names[0]].info.begin if names else 0))
        for name in names:
            try:
                data = tensors[name].bytes()
            except ConfigurationError as error:
                raise AdapterUnusable(error.message) from None
            self._whole.update(data)
            self._values.update(data)
            kind = tensors[name].info.dtype
            if "F" in kind and not are_finite(np.frombuffer(data, np.uint8), kind):
                raise AdapterUnusable(f"Its {name} has values that are not finite.")
            yield name, data


def _head(path: Path, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(length)
    except OSError as error:
        raise AdapterUnusable(f"{path.name} cannot be read: {error.strerror}.") from None


def _only(folder: Path) -> Path:
    """The weights in a folder, of which there may be another precision."""
    files = sorted(folder.glob(WEIGHTS), key=lambda path: (len(path.name), path.name))
    if not files or "-of-" in files[0].name:
        raise AdapterUnusable(f"It has no file {WEIGHTS.replace('*', '')} with all weights.")
    return files[0]
