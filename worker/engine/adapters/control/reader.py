"""ControlNet as a kind of adapter."""

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeAlias, cast

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel

from latentry.contracts import Adapter, AdapterKind
from latentry.errors import AdapterUnusable, ConfigurationError
from worker.engine.adapters.control.config import control_config
from worker.engine.adapters.control.loaded import LoadedControl
from worker.engine.adapters.control.marks import is_controlnet
from worker.engine.adapters.control.names import under_diffusers_names
from worker.engine.adapters.network_file import NetworkFile, Reading
from worker.engine.adapters.reader import Loading
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loaded_model import vae_factor
from worker.engine.models.networks import NetworkType
from worker.engine.models.part import Part

# The config of a model's UNet, with all defaults; and how many pixels a cell of its latents has.
Target: TypeAlias = tuple[Mapping[str, Any], int]

_NETWORK: Final = NetworkType(ControlNetModel, "diffusion_pytorch_model")
# The width of the prompts that a model's cross attention reads.
_FAMILIES: Final = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL"}


class ControlReader:
    """Reads ControlNets in their original layout and in diffusers', for the UNet of each model."""

    def __init__(self, at: Device) -> None:
        self._at = at
        self._known: dict[int, tuple[Blueprint, Target]] = {}
        self._lock = threading.Lock()

    def recognises(self, file: NetworkFile) -> bool:
        """Whether a file is a ControlNet of any kind, by the names of its tensors."""
        return is_controlnet(file.tensors)

    def inspect(self, file: NetworkFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """What a file is, and which models it fits, perhaps none. Raises AdapterUnusable."""
        weights = under_diffusers_names(file.weights)
        fitting, family, why = [], "", "There is no model that it could fit."
        for model, blueprint in blueprints.items():
            try:
                self._part(file, blueprint).fitted()
            except (AdapterUnusable, ConfigurationError) as error:
                why = error.message
            else:
                fitting.append(model)
                family = blueprint.card.family
        reading = Reading(file)
        for _ in reading:
            pass
        width = next((w.shape[1] for n, w in weights.items() if n.endswith("attn2.to_k.weight")), 0)
        return Adapter(
            id="",
            kind=AdapterKind.CONTROLNET,
            family=family or _FAMILIES.get(width, "another architecture"),
            models=tuple(fitting),
            sha256=reading.sha256,
            autov3=reading.autov3,
            size_bytes=file.size_bytes,
            networks=("unet",),
            reason=None if fitting else "".join(c for c in why[:1000] if c.isprintable()),
        )

    def plan(self, file: NetworkFile, sha256: str, blueprint: Blueprint) -> Loading:
        """How it is loaded for this model. Raises AdapterUnusable."""
        part = self._part(file, blueprint)
        load = partial(LoadedControl.of, file, sha256, part, self._at)
        return Loading(part.size_bytes(self._at.dtype), load)

    def _part(self, file: NetworkFile, blueprint: Blueprint) -> Part:
        weights, (unet, cell) = under_diffusers_names(file.weights), self._target(blueprint)
        config = control_config(weights, unet, file.config, file.name, cell=cell)
        return Part("ControlNet", partial(_NETWORK.make, config), weights)

    def _target(self, blueprint: Blueprint) -> Target:
        with self._lock:
            known = self._known.get(id(blueprint))
            if known is None or known[0] is not blueprint:
                with torch.device("meta"):
                    unet, vae = (cast(Any, blueprint.parts[one].make()) for one in ("unet", "vae"))
                known = self._known[id(blueprint)] = blueprint, (dict(unet.config), vae_factor(vae))
            return known[1]
