"""Tensors of an adapter's file, read and brought to the device in a model's precision."""

from typing import Final

import torch

from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile, are_finite
from worker.engine.device import Device
from worker.engine.models.loading.conversion import converted
from worker.engine.models.loading.part_reader import own_stream
from worker.engine.models.safetensors_header import TensorInfo

_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_NAMES: Final = {dtype: name for name, dtype in _DTYPES.items()}


def read(file: AdapterFile, tensor: TensorInfo) -> torch.Tensor:
    """A tensor in the file's dtype."""
    data = bytearray(memoryview(file.data)[tensor.begin : tensor.end])  # aligned, and writable
    return torch.frombuffer(data, dtype=_DTYPES[tensor.dtype]).reshape(tensor.shape)


def moved(tensor: torch.Tensor, shape: tuple[int, ...], name: str, at: Device) -> torch.Tensor:
    """It in this shape and in the precision of `at`, on its device.

    Converted by the calling thread alone (docs/decisions/0004). What is finite in the file need not
    be in the model's precision: then it raises AdapterUnusable, which names it.
    """
    found = converted([tensor.reshape(shape)], shape, at)
    flat = found.as_strided((found.numel(),), (1,))  # in whatever order
    if not are_finite(flat.view(torch.uint8).numpy(), _NAMES[at.dtype]):
        raise AdapterUnusable(f"The {name} is too large for {at.dtype}.")
    if at.device.type == "cpu":
        return found
    with own_stream(at.device):
        return found.to(at.device)
