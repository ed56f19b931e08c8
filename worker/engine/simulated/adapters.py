"""Adapters of a simulation: their files are read, and change its pictures' colour alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from latentry.contracts import Adapter, AdapterKind
from worker.engine.adapters.control.marks import is_controlnet
from worker.engine.adapters.embedding import layout
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.description import described
from worker.engine.loop.messages import LoadedAdapter

_FAMILY = "simulated"


class SimulatedShelf:
    """Every adapter fits every simulated model."""

    def __init__(self, models: Iterable[str]) -> None:
        self._models = tuple(models)

    def inspect(self, path: Path) -> Adapter:
        """What a file says of itself. Raises AdapterUnusable for one that is not readable."""
        file = AdapterFile.read(path)
        if layout.is_embedding(file):
            vectors = layout.vectors_of(file)
            return layout.described(file, vectors, family=_FAMILY, models=self._models)
        found = described(file, family=_FAMILY, models=self._models)
        is_network = is_controlnet(file.header.tensors)
        return found.model_copy(update={"kind": AdapterKind.CONTROLNET} if is_network else {})

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
        """Nothing: pictures depend on their request alone, which names the files by content."""
        return {}
