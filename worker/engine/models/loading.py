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
from worker.engine.models.blueprint import Blueprint, settle
from worker.engine.models.fingerprint import fingerprint
from worker.engine.models.loaded_model import LoadedModel

log = structlog.get_logger()


@contextmanager
def as_unusable(model: str) -> Iterator[None]:
    """Whatever a model's files make a library raise as a ConfigurationError.

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
    """Reading comes first, in any thread; settling then, in the thread that computes.

    The two are apart because every thread that computes gets a pool of OpenMP threads of its own,
    and two pools slow each other down for good (docs/decisions/0004).
    """

    def __init__(self, blueprint: Blueprint, at: Device) -> None:
        self._blueprint = blueprint
        self._at = at
        self._networks: dict[str, nn.Module] = {}
        self._fingerprint = ""
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="loading", daemon=True)

    def start(self) -> None:
        """Begin to read in a thread of its own."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether reading has ended, by then."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raises what reading ended with, if it did not succeed."""
        if self._failure is not None:
            raise self._failure

    def _read(self) -> None:
        try:
            with as_unusable(self._blueprint.card.id):
                self.read()
        except (LatentryError, torch.OutOfMemoryError, torch.AcceleratorError) as error:
            self._failure = error

    def read(self) -> None:
        """All files into memory, and on CUDA on to the device. Raises ConfigurationError."""
        self._networks = {name: part.read() for name, part in self._blueprint.parts.items()}
        self._fingerprint = fingerprint(self._blueprint, self._networks)
        if self._at.device.type == "cuda":
            # A stream of its own: copies beside the step loop's kernels, not between them.
            stream: Any = torch.cuda.Stream(self._at.device)  # type: ignore[no-untyped-call]
            with torch.cuda.stream(stream):
                for _ in self._settle():
                    pass
            stream.synchronize()

    def finish(self) -> Iterator[None]:
        """Convert what the device wants otherwise, a little at each `next`."""
        yield from self._settle()

    def _settle(self) -> Iterator[None]:
        for name, network in self._networks.items():
            precision = self._blueprint.parts[name].precision(self._at.dtype)
            yield from settle(network, replace(self._at, dtype=precision))

    def stack(self) -> LoadedModel:
        """The model, ready to draw."""
        return LoadedModel.assemble(self._blueprint, self._networks, self._at, self._fingerprint)
