"""Adapters of a simulation: their files are read, and change its pictures' colour alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from latentry.contracts import Adapter, AdapterKind
from worker.engine.adapters.control.marks import is_controlnet
from worker.engine.adapters.control.t2i_adapter.marks import is_t2i_adapter
from worker.engine.adapters.embedding import layout
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.ip_adapter.layout import is_ip_adapter
from worker.engine.adapters.lora.description import described
from worker.engine.adapters.vae.marks import is_vae
from worker.engine.loop.messages import LoadedAdapter

_FAMILY = "simulated"


class SimulatedShelf:
    """Every adapter fits every simulated model."""

    edition = 0

    def __init__(self, models: Iterable[str]) -> None:
        self._models = tuple(models)

    @property
    def identity(self) -> str:
        """All models, which every file fits."""
        return f"simulated {self._models}"

    def inspect(self, path: Path) -> Adapter:
        """What a file says of itself. Raises AdapterUnusable for one that is not readable."""
        file = AdapterFile.read(path)
        if layout.is_embedding(file):
            vectors = layout.vectors_of(file)
            return layout.described(file, vectors, family=_FAMILY, models=self._models)
        kind = AdapterKind.IP_ADAPTER if is_ip_adapter(file) else AdapterKind.LORA
        if is_controlnet(file.header.tensors):
            kind = AdapterKind.CONTROLNET
        if is_t2i_adapter(file.header.tensors):
            kind = AdapterKind.T2I_ADAPTER
        if is_vae(file):
            kind = AdapterKind.VAE
        return described(file, kind, family=_FAMILY, models=self._models)

    def load(self, model: str, files: Mapping[str, Path]) -> Mapping[str, LoadedAdapter]:
        """Nothing: pictures depend on their request alone, which names the files by content."""
        return {}

    @property
    def held(self) -> frozenset[str]:
        """None."""
        return frozenset()
