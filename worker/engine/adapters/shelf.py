"""What a backend does with adapters' files: look at them, and load them for a request."""

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

from latentry.contracts import Adapter
from latentry.errors import AdapterGone, AdaptersTooLarge
from latentry.version import __version__
from worker.engine.adapters.bank import Bank
from worker.engine.adapters.embedding.reader import EmbeddingReader
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.reader import LoraReader
from worker.engine.adapters.reader import Reader, SizedAdapter
from worker.engine.adapters.vae.reader import VaeReader
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint


class Shelf:
    """The adapters that fit the models of one backend. From any thread but that of the steps."""

    def __init__(
        self, at: Device, blueprints: Callable[[], Mapping[str, Blueprint]], budget_bytes: int
    ) -> None:
        self.bank = Bank(budget_bytes)
        self._blueprints = blueprints
        self._readers: tuple[Reader, ...] = (EmbeddingReader(at), VaeReader(at), LoraReader(at))
        self._loading = threading.Lock()

    @property
    def identity(self) -> str:
        """Which models there are, by their files and configs, and which kinds are read."""
        models = {id: one.identity for id, one in self._blueprints().items()}
        return repr((__version__, [type(one).__name__ for one in self._readers], models))

    def inspect(self, path: Path) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""
        file = AdapterFile.read(path)
        return self._reader(file).inspect(file, self._blueprints())

    @property
    def held(self) -> frozenset[str]:
        """The SHA-256 of those in memory."""
        return frozenset(sha256 for _, sha256 in self.bank.keys)

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, SizedAdapter]:
        """The adapters in these files, by the SHA-256 that these must have.

        Raises AdapterGone, AdapterUnusable, AdaptersTooLarge or NoAdapterRoom.
        """
        hot = {one: self.bank.find((model, one)) for one in files}
        found = {sha256: one for sha256, one in hot.items() if one is not None}
        if len(found) == len(files):
            return found
        # One job at a time: two that load the same file, or take each other's room, help nobody.
        with self._loading:
            for sha256, path in files.items():
                found[sha256] = self._one(model, path, sha256, beside=found.values())
        return found

    def _one(
        self, model: str, path: Path, sha256: str, *, beside: Iterable[SizedAdapter]
    ) -> SizedAdapter:
        if (found := self.bank.find((model, sha256))) is not None:
            return found
        file = AdapterFile.read(path)
        if file.sha256 != sha256:
            raise AdapterGone
        one = self._reader(file).plan(file, self._blueprints()[model])
        # Waiting for room would be in vain where its own adapters take it.
        if one.size_bytes + sum(each.size_bytes for each in beside) > self.bank.budget_bytes:
            raise AdaptersTooLarge
        try:
            return self.bank.get((model, sha256), one.size_bytes, one.load)
        except torch.OutOfMemoryError as error:
            why = "The device does not have enough memory for the adapters of this job."
            raise AdaptersTooLarge(why) from error

    def _reader(self, file: AdapterFile) -> Reader:
        return next(one for one in self._readers if one.recognises(file))
