"""What each kind of adapter brings: which files are of it, which models they fit, how one loads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from latentry.contracts import Adapter
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.network_file import NetworkFile
from worker.engine.loop.messages import LoadedAdapter
from worker.engine.models.blueprint import Blueprint


class SizedAdapter(LoadedAdapter, Protocol):
    """An adapter in memory, of whatever kind."""

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""


@dataclass(frozen=True, slots=True)
class Loading:
    """An adapter that is ready to be loaded: how much memory it will take, and how.

    sha256: its hash, if that of its file is not all. part: what it has besides, perhaps together
    with other adapters, and without its size; `load` then takes it.
    """

    size_bytes: int
    load: Callable[..., SizedAdapter]
    sha256: str = ""
    part: "Loading | None" = None


class Reader(Protocol):
    """One kind of adapter. Called from threads beside that of the steps."""

    def recognises(self, file: AdapterFile) -> bool:
        """Whether a file is of this kind, by the names of its tensors."""

    def inspect(self, file: AdapterFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """Its entry, without an id: which of the models it fits, perhaps none.

        Raises AdapterUnusable.
        """

    def plan(self, file: AdapterFile, blueprint: Blueprint) -> Loading:
        """How it is loaded for this model. Raises AdapterUnusable."""


class NetworkReader(Protocol):
    """One kind of adapter that is a network, whose files are not read as a whole."""

    def recognises(self, file: NetworkFile) -> bool:
        """As `Reader`."""

    def inspect(self, file: NetworkFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """As `Reader`."""

    def plan(self, file: NetworkFile, sha256: str, blueprint: Blueprint) -> Loading:
        """As `Reader`; its `load` raises AdapterGone if the file has another SHA-256 then."""
