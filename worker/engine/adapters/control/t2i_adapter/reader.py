"""T2I-Adapter as a kind of adapter."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from diffusers.models.adapter import T2IAdapter

from latentry.contracts import Adapter, AdapterKind
from latentry.errors import AdapterUnusable
from worker.engine.adapters.control.network import entry_of, target
from worker.engine.adapters.control.t2i_adapter.config import t2i_config
from worker.engine.adapters.control.t2i_adapter.loaded import LoadedT2IAdapter
from worker.engine.adapters.control.t2i_adapter.marks import is_t2i_adapter
from worker.engine.adapters.control.t2i_adapter.names import under_diffusers_names
from worker.engine.adapters.network_file import NetworkFile
from worker.engine.adapters.per_model import PerModel
from worker.engine.adapters.reader import Loading
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.networks import NetworkType
from worker.engine.models.part import Part

_NETWORK: Final = NetworkType(T2IAdapter, "diffusion_pytorch_model")
_FAMILIES: Final = ("SD 1.x", "SDXL")


class T2IAdapterReader:
    """Reads T2I-Adapters in TencentARC's layout and in diffusers', for the UNet of each model."""

    def __init__(self, at: Device) -> None:
        self._at = at
        self._targets = PerModel(target)

    def recognises(self, file: NetworkFile) -> bool:
        """By the names of its tensors."""
        return is_t2i_adapter(file.tensors)

    def inspect(self, file: NetworkFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""
        factors = set[int]()

        def part(blueprint: Blueprint) -> Part:
            config, made = self._part(file, blueprint)
            factors.add(config["downscale_factor"])
            return made

        under_diffusers_names(file.weights)
        entry = entry_of(
            file, AdapterKind.T2I_ADAPTER, blueprints, part, family="another architecture"
        )
        return entry.model_copy(update={"size_step": max(factors, default=1)})

    def plan(self, file: NetworkFile, sha256: str, blueprint: Blueprint) -> Loading:
        """How it is loaded for this model. Raises AdapterUnusable."""
        _, part = self._part(file, blueprint)
        load = partial(LoadedT2IAdapter.of, file, sha256, part, self._at)
        return Loading(part.size_bytes(self._at.dtype), load)

    def _part(self, file: NetworkFile, blueprint: Blueprint) -> tuple[dict[str, Any], Part]:
        if blueprint.card.family not in _FAMILIES:  # SD 2.x has SD 1.x's sizes
            raise AdapterUnusable(f"T2I-Adapters are for {' and '.join(_FAMILIES)} alone.")
        weights, (unet, cell) = under_diffusers_names(file.weights), self._targets.of(blueprint)
        config = t2i_config(weights, unet, file.config, cell=cell)
        return config, Part("T2I-Adapter", partial(_NETWORK.make, config), weights)
