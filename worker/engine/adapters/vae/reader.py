"""VAEs as a kind of adapter: single files of either layout, and diffusers' folders."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from latentry.contracts import Adapter, AdapterKind
from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.description import described
from worker.engine.adapters.per_model import PerModel
from worker.engine.adapters.reader import Loading
from worker.engine.adapters.vae.layout import Latents, planned
from worker.engine.adapters.vae.loaded import LoadedVae
from worker.engine.adapters.vae.marks import is_vae
from worker.engine.device import Device
from worker.engine.models.blueprint import Blueprint

# By the scaling factor that a folder says; a single file says none.
_FAMILIES: Final = {0.18215: "SD 1.x", 0.13025: "SDXL"}


class VaeReader:
    """Reads VAEs, for the latents of each model."""

    def __init__(self, at: Device) -> None:
        self._at = at
        self._latents = PerModel(Latents.of)

    def recognises(self, file: AdapterFile) -> bool:
        """By the class that its config names, or by its tensors."""
        return is_vae(file)

    def inspect(self, file: AdapterFile, blueprints: Mapping[str, Blueprint]) -> Adapter:
        """Its entry; one that fits no model says of the last one why."""
        fitting, why = dict[str, str](), AdapterUnusable("There is no model that it could fit.")
        for model, blueprint in blueprints.items():
            latents = self._latents.of(blueprint)
            try:
                planned(file, latents)
            except AdapterUnusable as error:
                why = error
            else:
                fitting[model] = latents.family
        scaling = (file.config or {}).get("scaling_factor", 0.18215 if file.config else None)
        family = next(iter(fitting.values()), _FAMILIES.get(scaling, "other"))
        return described(
            file,
            AdapterKind.VAE,
            family=family,
            models=tuple(fitting),
            networks=("vae",),
            reason=None if fitting else why.message,
        )

    def plan(self, file: AdapterFile, blueprint: Blueprint) -> Loading:
        """How it is loaded for a model. Raises AdapterUnusable."""
        part = planned(file, self._latents.of(blueprint))
        load = partial(LoadedVae.of, file, part, self._at)
        return Loading(part.size_bytes(self._at.dtype), load)
