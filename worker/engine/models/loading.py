"""A model on its way from its blueprint into memory."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
import torch

from latentry.errors import ConfigurationError, LatentryError
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.conversion import converted
from worker.engine.models.fingerprint import digest, fingerprint
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.models.weights import StoredTensor, in_order

log = structlog.get_logger()


@contextmanager
def as_configuration_error(model: str) -> Iterator[None]:
    """Turn whatever a model's files make a library raise into a ConfigurationError.

    The device's own errors stay as they are: no file is to blame for them.
    """
    try:
        yield
    except (LatentryError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        log.exception("model.not_readable", model=model)
        raise ConfigurationError(
            f"The files of {model} are not usable ({type(error).__name__}: {error})."
        ) from error


class Loading:
    """Reads, digests and converts one tensor after the other, none of it in the step loop's thread.

    So memory holds the model in the device's dtype, and beside it only the tensors that are on
    their way. `threads`: how many of them at once; the loop of models that draw wants the cores
    too. `began`: when it began, on the caller's clock in seconds.
    """

    def __init__(
        self, blueprint: Blueprint, at: Device, *, threads: int = 1, began: float = 0.0
    ) -> None:
        self.model = blueprint.card.id
        self.began = began
        self._blueprint = blueprint
        self._at = at
        self._threads = threads
        self._digests: dict[str, dict[str, str]] = {}
        self._loaded: LoadedModel | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="loading", daemon=True)

    def start(self) -> None:
        """Begin to read in a thread of its own."""
        self._thread.start()

    def has_read(self, wait_s: float) -> bool:
        """Whether reading has ended, now or within `wait_s` seconds."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def read(self) -> None:
        """The whole model, on to its device. Raises ConfigurationError."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="reading") as pool:
            networks = {
                name: part.read(partial(self._read_part, name, pool))
                for name, part in self._blueprint.parts.items()
            }
        for network in networks.values():
            for buffer in network.buffers():
                buffer.data = buffer.data.to(self._at.device)
        found = fingerprint(self._blueprint, networks, self._digests)
        self._loaded = LoadedModel.assemble(self._blueprint, networks, self._at, found)

    def loaded(self) -> LoadedModel:
        """The model, ready to draw, once it is read; raises what reading ended with otherwise."""
        if self._failure is not None:
            raise self._failure
        assert self._loaded is not None
        return self._loaded

    def _read(self) -> None:
        try:
            with as_configuration_error(self.model):
                self.read()
        except (LatentryError, torch.OutOfMemoryError, torch.AcceleratorError) as error:
            self._failure = error

    def _read_part(
        self, part: str, pool: ThreadPoolExecutor, tensors: Mapping[str, StoredTensor]
    ) -> dict[str, torch.Tensor]:
        """All tensors of a part, by name."""
        dtype = self._blueprint.parts[part].dtype_in(self._at.dtype)
        names, read = in_order(tensors), partial(_read, replace(self._at, dtype=dtype))
        pairs = list(pool.map(read, (tensors[name] for name in names)))
        self._digests[part] = {name: told for name, (_, told) in zip(names, pairs, strict=True)}
        return {name: tensor for name, (tensor, _) in zip(names, pairs, strict=True)}


def _read(at: Device, stored: StoredTensor) -> tuple[torch.Tensor, str]:
    """A tensor on its device, and the digest of what its file has."""
    tensor = stored.read()
    told = digest(tensor)
    with _stream(at.device):
        return converted(tensor, at), told


@contextmanager
def _stream(device: torch.device) -> Iterator[None]:
    """On CUDA a stream of its own: copies beside the step loop's kernels, not between them."""
    if device.type != "cuda":
        yield
        return
    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()
