"""A tensor as a file has it to the same tensor as a device wants it."""

from typing import Final

import numpy as np
import torch

from worker.engine.device import Device
from worker.engine.models.weights import BITS

# Elements of one operation: torch's GRAIN_SIZE, up to which it starts no OpenMP thread.
_GRAIN: Final = 32768

_HALVES: Final = {torch.float16, torch.bfloat16}


def converted(tensor: torch.Tensor, at: Device) -> torch.Tensor:
    """A contiguous floating-point tensor of the CPU, on the device, in its dtype and memory format.

    For any thread. To a CPU it is converted in pieces, by the calling thread alone: every thread
    for which torch computes in parallel keeps a pool of OpenMP threads, and two pools slow each
    other down for good (docs/decisions/0004).
    """
    if at.device.type == "cpu":
        return _cast(_laid_out(tensor, at.memory_format), at.dtype)
    # The device first: converting on the way there would compute on the CPU.
    moved = tensor.to(at.device).to(at.dtype)
    return moved.contiguous(memory_format=at.memory_format) if moved.ndim == 4 else moved


def _laid_out(tensor: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    """Its values in this memory format, if it is an image's or a convolution's: [N, C, H, W]."""
    if tensor.ndim != 4 or tensor.is_contiguous(memory_format=memory_format):
        return tensor
    assert memory_format is torch.channels_last
    bits = tensor.view(BITS[tensor.element_size()]).numpy()
    moved = torch.from_numpy(np.ascontiguousarray(bits.transpose(0, 2, 3, 1)))
    return moved.view(tensor.dtype).permute(0, 3, 1, 2)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Its values in this dtype, with its strides."""
    if tensor.dtype is dtype:
        return tensor
    cast = torch.empty_like(tensor, dtype=dtype)
    flat, flat_cast = (each.as_strided((each.numel(),), (1,)) for each in (tensor, cast))
    # By way of fp32, which holds both exactly: torch has vector instructions for each of these two
    # conversions, but for none from fp16 to bf16, which takes three times as long.
    through = torch.empty(_GRAIN) if {tensor.dtype, dtype} == _HALVES else None
    for begin in range(0, tensor.numel(), _GRAIN):
        source = flat[begin : begin + _GRAIN]
        if through is not None:
            source = through[: len(source)].copy_(source)
        flat_cast[begin : begin + _GRAIN] = source
    return cast
