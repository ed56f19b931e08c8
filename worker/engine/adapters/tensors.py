"""An adapter's tensors, out of the bytes of its file."""

from typing import Final

import torch

from latentry.errors import AdapterUnusable
from worker.engine.adapters.file import AdapterFile, are_finite
from worker.engine.device import Device
from worker.engine.models.loading.conversion import converted
from worker.engine.models.loading.part_reader import own_stream
from worker.engine.models.safetensors_header import TensorInfo
from worker.engine.models.weights import StoredTensor

DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


def tensor_of(file: AdapterFile, stored: TensorInfo | StoredTensor) -> torch.Tensor:
    """A tensor in the file's dtype."""
    tensor = stored.info if isinstance(stored, StoredTensor) else stored
    data = bytearray(memoryview(file.data)[tensor.begin : tensor.end])  # aligned, and writable
    return torch.frombuffer(data, dtype=DTYPES[tensor.dtype]).reshape(tensor.shape)


def on_device(tensor: torch.Tensor, at: Device, what: str) -> torch.Tensor:
    """Converted by the calling thread alone (docs/decisions/0004). Raises AdapterUnusable.

    What is finite in the file need not be in the model's precision. `what`: its name for users.
    """
    found = converted([tensor], tuple(tensor.shape), at)
    flat = found.as_strided((found.numel(),), (1,))  # in whatever order
    if not are_finite(flat.view(torch.uint8).numpy(), _NAMES[at.dtype]):
        raise AdapterUnusable(f"{what} is too large for {at.dtype}.")
    if at.device.type == "cpu":
        return found
    with own_stream(at.device):
        return found.to(at.device)
