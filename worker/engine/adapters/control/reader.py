"""ControlNet as a kind of adapter."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from diffusers.models.controlnets.controlnet import ControlNetModel

from latentry.contracts import Adapter, AdapterKind
from worker.engine.adapters.control.config import control_config
from worker.engine.adapters.control.loaded import LoadedControl
from worker.engine.adapters.control.marks import is_controlnet
from worker.engine.adapters.control.names import under_diffusers_names
from worker.engine.adapters.control.network import entry_of, target
from worker.engine.adapters.network_file import NetworkFile
from worker.engine.adapters.per_model import PerModel
from worker.engine.adapters.reader import Loading
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.networks import NetworkType
from worker.engine.models.part import Part

_NETWORK: Final = NetworkType(ControlNetModel, "diffusion_pytorch_model")
# The width of the prompts that a model's cross attention reads.
_FAMILIES: Final = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL"}


class ControlReader:
    """Reads ControlNets in their original layout and in diffusers', for the UNet of each model."""

    def __init__(self, at: Device) -> None:
        self._at = at
        self._targets = PerModel(target)

    def recognises(self, file: NetworkFile) -> bool:
        """Whether a file is a ControlNet of any kind, by the names of its tensors."""
        return is_controlnet(file.tensors)

    def inspect(self, file: NetworkFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""
        weights = under_diffusers_names(file.weights)
        width = next((w.shape[1] for n, w in weights.items() if n.endswith("attn2.to_k.weight")), 0)
        family, part = _FAMILIES.get(width, "another architecture"), partial(self._part, file)
        return entry_of(file, AdapterKind.CONTROLNET, blueprints, part, family=family)

    def plan(self, file: NetworkFile, sha256: str, blueprint: Blueprint) -> Loading:
        """How it is loaded for this model. Raises AdapterUnusable."""
        part = self._part(file, blueprint)
        load = partial(LoadedControl.of, file, sha256, part, self._at)
        return Loading(part.size_bytes(self._at.dtype), load)

    def _part(self, file: NetworkFile, blueprint: Blueprint) -> Part:
        weights, (unet, cell) = under_diffusers_names(file.weights), self._targets.of(blueprint)
        config = control_config(weights, unet, file.config, file.name, cell=cell)
        return Part("ControlNet", partial(_NETWORK.make, config), weights)
