"""A weight as its file has it to the same weight as a device wants it."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import torch

from worker.engine.device import Device
from worker.engine.models.weights import BITS

# Elements of one operation: torch's GRAIN_SIZE, up to which it starts no OpenMP thread.
_GRAIN: Final = 32768
_HALVES: Final = {torch.float16, torch.bfloat16}


def converted(pieces: Iterable[torch.Tensor], shape: tuple[int, ...], at: Device) -> torch.Tensor:
    """A weight of this shape on a CPU, in the dtype and memory format of `at`.

    `pieces`: its rows in order, contiguous. For any thread, which alone does all of it: every
    thread for which torch computes in parallel keeps a pool of OpenMP threads, and two pools slow
    each other down for good (docs/decisions/0004).
    """
    weight = torch.empty(shape, dtype=at.dtype)
    is_moved = len(shape) == 4 and not weight.is_contiguous(memory_format=at.memory_format)
    if is_moved:
        assert at.memory_format is torch.channels_last
        weight = torch.empty(shape, dtype=at.dtype, memory_format=at.memory_format)
    flat, done = weight.as_strided((weight.numel(),), (1,)), 0
    for piece in pieces:
        values = (_channels_last(piece) if is_moved else piece).reshape(-1)
        _cast(values, flat[done : done + len(values)])
        done += len(values)
    return weight


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """Values [N, C, H, W] as [N, H, W, C], contiguous."""
    bits = tensor.view(BITS[tensor.element_size()]).numpy()
    return torch.from_numpy(np.ascontiguousarray(bits.transpose(0, 2, 3, 1))).view(tensor.dtype)


def _cast(values: torch.Tensor, to: torch.Tensor) -> None:
    """Write values [n] into a tensor [n] of another dtype."""
    # By way of fp32, which holds both exactly: torch has vector instructions for each of these two
    # conversions, but for none from fp16 to bf16, which takes three times as long.
    through = torch.empty(_GRAIN) if {values.dtype, to.dtype} == _HALVES else None
    for begin in range(0, len(values), _GRAIN):
        source = values[begin : begin + _GRAIN]
        if through is not None:
            source = through[: len(source)].copy_(source)
        to[begin : begin + _GRAIN] = source
