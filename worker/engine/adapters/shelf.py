"""What a backend does with adapters' files: look at them, and load them for a request."""

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

from latentry.contracts import Adapter
from latentry.errors import AdapterGone, AdaptersTooLarge, AdapterUnusable
from worker.engine.adapters.bank import Bank
from worker.engine.adapters.control.reader import ControlReader
from worker.engine.adapters.embedding.reader import EmbeddingReader
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.reader import LoraReader
from worker.engine.adapters.network_file import CONFIG, NetworkFile
from worker.engine.adapters.reader import Loading, NetworkReader, Reader, SizedAdapter
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint


class Shelf:
    """The adapters that fit the models of one backend. From any thread but that of the steps."""

    def __init__(
        self, at: Device, blueprints: Callable[[], Mapping[str, Blueprint]], budget_bytes: int
    ) -> None:
        self.bank = Bank(budget_bytes)
        self._blueprints = blueprints
        self._networks: tuple[NetworkReader, ...] = (ControlReader(at),)
        self._readers: tuple[Reader, ...] = (EmbeddingReader(at), LoraReader(at))
        self._loading = threading.Lock()

    def inspect(self, path: Path) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""
        if network := self._network(path):
            reader, large = network
            return reader.inspect(large, self._blueprints())
        file = AdapterFile.read(path)
        return self._reader(file).inspect(file, self._blueprints())

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
        one = self._planned(path, sha256, self._blueprints()[model])
        # Waiting for room would be in vain where its own adapters take it.
        if one.size_bytes + sum(each.size_bytes for each in beside) > self.bank.budget_bytes:
            raise AdaptersTooLarge
        try:
            return self.bank.get((model, sha256), one.size_bytes, one.load)
        except torch.OutOfMemoryError as error:
            why = "The device does not have enough memory for the adapters of this job."
            raise AdaptersTooLarge(why) from error

    def _planned(self, path: Path, sha256: str, blueprint: Blueprint) -> Loading:
        if network := self._network(path):
            reader, large = network
            return reader.plan(large, sha256, blueprint)
        file = AdapterFile.read(path)
        if file.sha256 != sha256:
            raise AdapterGone
        return self._reader(file).plan(file, blueprint)

    def _network(self, path: Path) -> tuple[NetworkReader, NetworkFile] | None:
        """The kind of a network's file, and the file with its header read; None for other files."""
        is_folder = (path / CONFIG).exists()
        if path.is_dir() and not is_folder:
            return None
        try:
            file = NetworkFile.open(path)
        except AdapterUnusable:
            if is_folder:
                raise
            return None  # what reads it as a whole says what is wrong
        return next(((one, file) for one in self._networks if one.recognises(file)), None)

    def _reader(self, file: AdapterFile) -> Reader:
        return next(one for one in self._readers if one.recognises(file))
