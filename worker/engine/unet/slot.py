"""The compiled call of one UNet at one latent size, from the first eager call on."""

from enum import StrEnum
from time import monotonic
from typing import Any, Final

import torch

from worker.engine.unet.eager import eager
from worker.engine.unet.inputs import UNetInputs
from worker.engine.unet.shape import Shape

# Largest difference of a package's output from the eager one, relative to its norm. Measured on a
# CPU with models/shapes: 8e-7, 1e-3, 8e-3, and 4e-2 without the last bias. On CUDA fp32 may be
# TF32.
_TOLERANCE: Final = {torch.float32: 2e-3, torch.float16: 1e-2, torch.bfloat16: 3e-2}


class WrongPackage(Exception):
    """A package's output differs from its UNet's by more than rounding."""


class SlotState(StrEnum):
    """How far a compiled call is."""

    EAGER = "eager"  # there is no package so far
    LOADED = "loaded"  # there is one, whose output was not compared with the eager one so far
    PROVED = "proved"
    GIVEN_UP = "given_up"  # until the next start


class CompiledSlot:
    """Counts the calls of a shape, and holds its package: EAGER → LOADED → PROVED.

    Each of these may end as GIVEN_UP, which stays.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.state = SlotState.EAGER
        self.calls = 0
        self._look_at_s = 0.0
        self._package: Any = None

    @property
    def is_compiled(self) -> bool:
        """Whether `run` may be called."""
        return self.state in (SlotState.LOADED, SlotState.PROVED)

    def count_call(self, *, poll_s: float) -> bool:
        """Count a call; whether to look for a package now: every `poll_s` until there is one."""
        self.calls += 1
        if self.is_compiled or monotonic() < self._look_at_s:
            return False
        self._look_at_s = monotonic() + poll_s
        return True

    def load(self, package: Any) -> None:
        """Take the compiled call of a package."""
        assert self.state is SlotState.EAGER, self.state
        self.state, self._package = SlotState.LOADED, package

    def give_up(self) -> bool:
        """Never run the package again. Whether it was proved, and so is not to blame."""
        was_proved = self.state is SlotState.PROVED
        self.state, self._package = SlotState.GIVEN_UP, None
        return was_proved

    def run(self, unet: Any, inputs: UNetInputs) -> torch.Tensor:
        """The compiled call's output [rows, C, h, w]; until it is proved, the eager call's.

        Raises WrongPackage if they differ, and whatever a package raises.
        """
        output: torch.Tensor = self._package(*inputs.tensors)
        if self.state is SlotState.PROVED:
            return output
        expected = eager(unet, inputs)
        if agrees(output, expected):
            self.state = SlotState.PROVED
        return expected


def agrees(output: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether a compiled output is the eager one but for rounding; raises WrongPackage if not.

    Rows whose eager output is not finite are left out; False if there are no others.
    """
    finite = expected.isfinite().flatten(1).all(1)
    if not finite.any():
        return False
    expected = expected[finite].float()
    error = float((output[finite].float() - expected).norm() / expected.norm())
    if not error <= _TOLERANCE[output.dtype]:
        raise WrongPackage(f"Its output is off by {error:.1e}.")
    return True
