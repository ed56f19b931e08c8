"""What a backend does with adapters' files: look at them, and load them for a request."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast
from weakref import WeakKeyDictionary

import torch

from latentry.contracts import Adapter
from latentry.errors import (
    AdapterGone,
    AdaptersTooLarge,
    AdapterUnusable,
    ModelGone,
    ModelNotLoaded,
)
from latentry.version import __version__
from worker.engine.adapters.bank import Bank, Key
from worker.engine.adapters.beside import State, state_of
from worker.engine.adapters.checked import Checked
from worker.engine.adapters.control.reader import ControlReader
from worker.engine.adapters.control.t2i_adapter.reader import T2IAdapterReader
from worker.engine.adapters.embedding.reader import EmbeddingReader
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.ip_adapter.reader import IPAdapterReader
from worker.engine.adapters.lora.reader import LoraReader
from worker.engine.adapters.network_file import CONFIG, NetworkFile
from worker.engine.adapters.reader import Loading, NetworkReader, Reader, SizedAdapter
from worker.engine.adapters.vae.reader import VaeReader
from worker.engine.device import Device
from worker.engine.loop.messages import Order
from worker.engine.models.blueprint import Blueprint


class Shelf:
    """The adapters that fit the models of one backend. From any thread but that of the steps."""

    def __init__(
        self,
        at: Device,
        blueprints: Callable[[], Mapping[str, Blueprint]],
        budget_bytes: int,
        edition: Callable[[], int] = lambda: 0,
    ) -> None:
        self.bank = Bank(budget_bytes)
        self._blueprints = blueprints
        self._edition = edition
        self._networks: tuple[NetworkReader, ...] = (ControlReader(at), T2IAdapterReader(at))
        self._readers: tuple[Reader, ...] = (
            IPAdapterReader(at, budget_bytes),
            EmbeddingReader(at),
            VaeReader(at),
            LoraReader(at),
        )
        self._checked: dict[Path, tuple[State, Checked]] = {}
        self._loading = threading.Lock()
        # What adapters have besides: kept in memory by them, and counted with them.
        self._parts: WeakKeyDictionary[SizedAdapter, SizedAdapter] = WeakKeyDictionary()
        self._made_for: WeakKeyDictionary[SizedAdapter, Blueprint] = WeakKeyDictionary()

    @property
    def identity(self) -> str:
        """Which models there are, by their files and configs, and which kinds are read."""
        models = {id: one.identity for id, one in sorted(self._blueprints().items())}
        return repr(
            (__version__, [type(one).__name__ for one in (*self._networks, *self._readers)], models)
        )

    @property
    def edition(self) -> int:
        """Another number when there are other models."""
        return self._edition()

    def inspect(self, path: Path) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable.

        It is hashed once, as long as it stays what it is: other models change what it fits.
        """
        state = state_of([path])  # before it is read
        known = self._checked.get(path)
        checked = known[1] if known and known[0] == state else None
        if network := self._network(path):
            reader, large = network
            entry = reader.inspect(replace(large, checked=checked), self._blueprints())
            self._checked[path] = state, Checked(entry.sha256, entry.autov3)
            return entry
        file = replace(AdapterFile.read(path), checked=checked)
        entry = self._reader(file).inspect(file, self._blueprints())
        self._checked[path] = state, Checked(file.sha256, file.autov3)
        return entry

    @property
    def held(self) -> frozenset[str]:
        """The SHA-256 of those in memory."""
        return frozenset(sha256 for _, sha256 in self.bank.keys)

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, SizedAdapter]:
        """The adapters in these files, by the SHA-256 that these must have.

        Raises AdapterGone, AdapterUnusable, AdaptersTooLarge, NoAdapterRoom or ModelGone.
        """
        blueprint = self._blueprints().get(model)
        if blueprint is None:
            raise ModelGone
        hot = {one: self._hot((model, one), blueprint) for one in files}
        found = {sha256: one for sha256, one in hot.items() if one is not None}
        if len(found) == len(files):
            return found
        # One job at a time: two that load the same file, or take each other's room, help nobody.
        with self._loading:
            for sha256, path in files.items():
                found[sha256] = one = self._one(model, path, sha256, blueprint, found.values())
                self._made_for[one] = blueprint
        return found

    def refuse_outdated(self, order: Order) -> None:
        """Raises ModelNotLoaded if its adapters were made for what its model was before."""
        model = order.request.model
        blueprint = self._blueprints().get(model)
        for one in order.adapters.values():
            if self._made_for.get(cast(SizedAdapter, one), blueprint) is not blueprint:
                why = "The model was replaced while its adapters were loaded."
                raise ModelNotLoaded(why, model=model)

    def _hot(self, key: Key, blueprint: Blueprint) -> SizedAdapter | None:
        """The one in memory, if it was made for what the model is now."""
        found = self.bank.find(key)
        is_current = found is not None and self._made_for.get(found) is blueprint
        return found if is_current else None

    def _one(
        self,
        model: str,
        path: Path,
        sha256: str,
        blueprint: Blueprint,
        beside: Iterable[SizedAdapter],
    ) -> SizedAdapter:
        if (found := self._hot((model, sha256), blueprint)) is not None:
            return found
        self.bank.forget((model, sha256))
        one = self._planned(path, sha256, blueprint)
        try:
            if one.part is None:
                return self._fitting((model, sha256), one, one.load, beside)
            part = self._fitting(("", one.part.sha256), one.part, one.part.load, beside)
            load = partial(one.load, part)
            whole = self._fitting((model, sha256), one, load, [*beside, part])
            self._parts[whole] = part
            return whole
        except torch.OutOfMemoryError as error:
            why = "The device does not have enough memory for the adapters of this job."
            raise AdaptersTooLarge(why) from error

    def _planned(self, path: Path, sha256: str, blueprint: Blueprint) -> Loading:
        if network := self._network(path):
            reader, large = network
            return reader.plan(large, sha256, blueprint)
        file = AdapterFile.read(path)
        one = self._reader(file).plan(file, blueprint)
        if (one.sha256 or file.sha256) != sha256:
            raise AdapterGone
        return one

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

    def _fitting(
        self,
        key: Key,
        one: Loading,
        load: Callable[[], SizedAdapter],
        beside: Iterable[SizedAdapter],
    ) -> SizedAdapter:
        """Out of memory, or into it; not if it has no room beside these, which the job has too."""
        if (found := self.bank.find(key)) is not None:
            return found
        beside = {*beside, *(self._parts[each] for each in beside if each in self._parts)}
        # Waiting for room would be in vain where its own adapters take it.
        if one.size_bytes + sum(each.size_bytes for each in beside) > self.bank.budget_bytes:
            raise AdaptersTooLarge
        return self.bank.get(key, one.size_bytes, load)

    def _reader(self, file: AdapterFile) -> Reader:
        return next(one for one in self._readers if one.recognises(file))
