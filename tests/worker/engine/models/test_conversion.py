"""Weights in a file's dtype become the device's, bit for bit as torch converts them."""

from dataclasses import replace

import pytest
import torch

from worker.engine.device import Device
from worker.engine.models.loading.conversion import converted

CPU = Device.choose("cpu", "float32")
SHAPES = [(), (3,), (70_001,), (300, 200), (64, 48, 3, 5), (64, 48, 1, 1), (9, 1, 3, 3), (0, 4)]
STORED = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn]
KEPT = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kept", KEPT)
def test_values_and_strides_are_those_of_torchs_own_conversion(
    stored: torch.dtype, kept: torch.dtype
) -> None:
    for shape in SHAPES:
        tensor = torch.randn(shape).to(stored)
        expected = tensor.to(kept)
        if expected.ndim == 4:
            expected = expected.contiguous(memory_format=torch.channels_last)
        pieces = torch.split(tensor, 5) if shape else [tensor]
        found = converted(pieces, shape, replace(CPU, dtype=kept))
        assert found.dtype is kept
        assert found.stride() == expected.stride()
        assert torch.equal(found, expected)
