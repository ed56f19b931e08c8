"""A model on its way from its blueprint into memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog
import torch
from torch import nn

from latentry.errors import ConfigurationError, LatentryError
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.fingerprint import fingerprint
from worker.engine.models.loaded_model import LoadedModel

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
    """Reading comes first, in any thread; then conversion, in the thread that computes.

    The two are apart because every thread that computes gets a pool of OpenMP threads of its own,
    and two pools slow each other down for good (docs/decisions/0004). `conversion`: once the model
    is read, each `next` moves one more tensor to its device, precision and memory format. `began`:
    when it began, on the caller's clock in seconds.
    """

    def __init__(self, blueprint: Blueprint, at: Device, *, began: float = 0.0) -> None:
        self.model = blueprint.card.id
        self.began = began
        self._blueprint = blueprint
        self._at = at
        self._networks: dict[str, nn.Module] = {}
        self._fingerprint = ""
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="loading", daemon=True)
        self.conversion = self._convert()

    def start(self) -> None:
        """Begin to read in a thread of its own."""
        self._thread.start()

    def has_read(self, wait_s: float) -> bool:
        """Whether reading has ended, now or within `wait_s` seconds."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what reading ended with, if it did not succeed."""
        if self._failure is not None:
            raise self._failure

    def read(self) -> None:
        """All files into memory, and on CUDA on to the device. Raises ConfigurationError."""
        self._networks = {name: part.read() for name, part in self._blueprint.parts.items()}
        self._fingerprint = fingerprint(self._blueprint, self._networks)
        if self._at.device.type == "cuda":
            # A stream of its own: copies beside the step loop's kernels, not between them.
            stream: Any = torch.cuda.Stream(self._at.device)  # type: ignore[no-untyped-call]
            with torch.cuda.stream(stream):
                for _ in self._convert():
                    pass
            stream.synchronize()

    def loaded(self) -> LoadedModel:
        """The model, ready to draw, once it is converted."""
        return LoadedModel.assemble(self._blueprint, self._networks, self._at, self._fingerprint)

    def _read(self) -> None:
        try:
            with as_configuration_error(self.model):
                self.read()
        except (LatentryError, torch.OutOfMemoryError, torch.AcceleratorError) as error:
            self._failure = error

    def _convert(self) -> Iterator[None]:
        for name, network in self._networks.items():
            dtype = self._blueprint.parts[name].dtype_in(self._at.dtype)
            yield from move_to_device(network, replace(self._at, dtype=dtype))


def move_to_device(module: nn.Module, at: Device) -> Iterator[None]:
    """Move a network to its device, dtype and memory format, one tensor at each `next`.

    Integers, such as CLIP's position ids, keep their dtype. Converting is computing: on a CPU it
    belongs to the compute thread.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        # The device first: converting on the way there would compute on the CPU.
        moved = tensor.data.to(at.device)
        if moved.is_floating_point():
            moved = moved.to(at.dtype)
        if moved.ndim == 4:
            moved = moved.contiguous(memory_format=at.memory_format)
        tensor.data = moved
        yield
