"""An adapter in memory: its layers as tensors on the device, in a model's precision."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from worker.engine.adapters.file import AdapterFile
from worker.engine.adapters.lora.layout import LayerPlan
from worker.engine.adapters.tensors import moved, read
from worker.engine.device import Device
from worker.engine.low_rank.term import Layers, LowRank
from worker.engine.models.loading.conversion import converted


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedAdapter:
    """The terms of each network's layers by their paths; networks: all that the model has."""

    sha256: str
    networks: Mapping[str, Layers]
    size_bytes: int

    @classmethod
    def of(
        cls, file: AdapterFile, plans: Sequence[LayerPlan], has: Iterable[str], at: Device
    ) -> "LoadedAdapter":
        """Converted by the calling thread alone (docs/decisions/0004). Raises AdapterUnusable.

        has: the model's networks. What is finite in the file need not be in its precision.
        """
        networks: dict[str, dict[str, LowRank]] = {network: {} for network in has}
        for plan in plans:
            layer = _loha(file, plan, at) if "w1_a" in plan.tensors else _lora(file, plan, at)
            networks[plan.network][plan.path] = layer
        size = sum(layer.size_bytes for layers in networks.values() for layer in layers.values())
        return cls(file.sha256, networks, size)

    @property
    def unet(self) -> Layers:
        """Those of the UNet, perhaps none."""
        return self.networks["unet"]

    @property
    def text_encoders(self) -> tuple[Layers, ...]:
        """Of each of its text encoders in order: a refiner has SDXL's second alone."""
        return tuple(layers for name, layers in self.networks.items() if name != "unet")


def size_bytes(plans: Sequence[LayerPlan], at: Device) -> int:
    """What the layers will take in memory."""
    return at.dtype.itemsize * sum(plan.size for plan in plans)


def _lora(file: AdapterFile, plan: LayerPlan, at: Device) -> LowRank:
    parts = {
        name: _on_device(read(file, one), plan, name, at) for name, one in plan.tensors.items()
    }
    return LowRank(parts["down"], parts["up"], plan.scale, parts.get("mid"))


def _loha(file: AdapterFile, plan: LayerPlan, at: Device) -> LowRank:
    """(A₁B₁) ∘ (A₂B₂) as one product: every pair of a column of each, and of a row of each."""
    parts = {name: _fp32(read(file, one)) for name, one in plan.tensors.items()}
    with np.errstate(over="ignore"):  # what is too large is refused below
        up = parts["w1_a"][:, :, None] * parts["w2_a"][:, None, :]
        down = parts["w1_b"][:, None, :] * parts["w2_b"][None, :, :]
    rank, out, into = plan.rank, plan.shape[0], plan.shape[1]
    return LowRank(
        _on_device(torch.from_numpy(down.reshape(rank, into, *plan.shape[2:])), plan, "down", at),
        _on_device(torch.from_numpy(up.reshape(out, rank)), plan, "up", at),
        plan.scale,
    )


def _fp32(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    plain = Device(torch.device("cpu"), torch.float32, torch.contiguous_format)
    return converted([tensor.reshape(tensor.shape[:2])], tensor.shape[:2], plain).numpy()


def _on_device(tensor: torch.Tensor, plan: LayerPlan, part: str, at: Device) -> torch.Tensor:
    is_conv = len(plan.shape) == 4
    shape = tuple(tensor.shape)
    if is_conv != (len(shape) == 4):  # a 1 × 1 kernel, written or left out
        shape = (*shape[:2], 1, 1) if is_conv else shape[:2]
    return moved(tensor, shape, f"{part} of its layer {plan.path}", at)
