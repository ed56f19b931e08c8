"""A VAE in memory, and the model that draws with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch

from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.tensors import moved, read
from worker.engine.device import Device
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.models.loading.low_memory import divide
from worker.engine.models.part import Part
from worker.engine.models.weights import StoredTensor


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedVae:
    """The network, on its device."""

    sha256: str
    network: Any
    size_bytes: int

    @classmethod
    def of(cls, file: AdapterFile, part: Part, at: Device) -> "LoadedVae":
        """Raises AdapterUnusable for weights that are too large for its dtype."""
        to = replace(at, dtype=part.dtype_in(at.dtype))

        def read_all(fitted: Mapping[str, StoredTensor]) -> dict[str, torch.Tensor]:
            return {
                name: moved(read(file, one.info), one.shape, name, to)
                for name, one in fitted.items()
            }

        network = part.read(read_all)
        divide(network, at.low_memory)
        return cls(file.sha256, network, part.size_bytes(at.dtype))


def models_of(order: Order, models: Mapping[str, LoadedModel]) -> Sequence[LoadedModel]:
    """Those that make its steps, with the VAE that it names instead of their own.

    All else is theirs: their rows share UNet calls with those of their own VAE.
    """
    own = [models[model] for model in order.request.models]
    if order.request.vae is None:
        return own
    vae = cast(LoadedVae, order.adapters[order.request.vae.sha256])
    return [replace(model, vae=vae.network) for model in own]
