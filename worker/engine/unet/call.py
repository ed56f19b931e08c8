"""One call of a resident UNet: eager, or by a compiled package where one is ready."""

from typing import Any

import torch

from worker.engine.models.loaded_model import LoadedModel
from worker.engine.unet.compile import MOST_ROWS, Shape, eager
from worker.engine.unet.compiled import CompiledSlot, CompiledUNets

# How far a package's output may be from the eager one, in its norm. Measured on a CPU with
# models/shapes: 8e-7, 1e-3, 8e-3, and 4e-2 without the last bias. On CUDA fp32 may be TF32.
_APART = {torch.float32: 2e-3, torch.float16: 1e-2, torch.bfloat16: 3e-2}


class WrongPackage(Exception):
    """It computes something else."""


def call(
    stack: LoadedModel,
    packages: CompiledUNets | None,
    x: torch.Tensor,
    t: torch.Tensor,
    hidden: torch.Tensor,
    added: dict[str, torch.Tensor],
) -> torch.Tensor:
    """[rows, C, h, w] from latents, timesteps [rows], embeddings [rows, tokens, width].

    Without `packages` it is eager, as strict mode wants it: when a package gets ready is a matter
    of time, and its last bits are others.
    """
    if packages is None or len(x) > MOST_ROWS:
        return eager(stack.unet, x, t, hidden, added)
    demand = _demand(stack, x, hidden, added)
    compiled = packages.find(demand, stack.unet)
    if compiled is None:
        return eager(stack.unet, x, t, hidden, added)
    try:
        return _checked(demand, compiled(x, t, hidden, added), stack, x, t, hidden, added)
    except torch.AcceleratorError as error:
        packages.give_up(demand, error)
        raise
    except Exception as error:  # whatever it is, a package calls it RuntimeError
        try:
            # If this fails too, for want of memory or by its input, the package is not to blame.
            output = eager(stack.unet, x, t, hidden, added)
        except torch.AcceleratorError:
            packages.give_up(demand, error)
            raise
        packages.give_up(demand, error)
        return output


def _checked(
    demand: CompiledSlot, output: torch.Tensor, stack: LoadedModel, *inputs: Any
) -> torch.Tensor:
    if demand.is_proved:
        return output
    expected = eager(stack.unet, *inputs)
    demand.is_proved = _agrees(output, expected)
    return expected


def _agrees(output: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether a package's output is the eager one but for rounding; raises WrongPackage if not.

    Rows that have gone wrong are not its fault: with no others, False.
    """
    right = expected.isfinite().flatten(1).all(1)
    if not right.any():
        return False
    expected = expected[right].float()
    apart = float((output[right].float() - expected).norm() / expected.norm())
    if not apart <= _APART[output.dtype]:
        raise WrongPackage(f"Its output is off by {apart:.1e}.")
    return True


def _demand(
    stack: LoadedModel, x: torch.Tensor, hidden: torch.Tensor, added: dict[str, torch.Tensor]
) -> CompiledSlot:
    height, width, tokens = size = (x.shape[2], x.shape[3], hidden.shape[1])
    demand: CompiledSlot | None = stack.compiled.get(size)
    if demand is None:
        widths = {name: value.shape[1] for name, value in added.items()}
        shape = Shape.of(
            stack.unet, stack.at, height=height, width=width, tokens=tokens, added=widths
        )
        demand = stack.compiled[size] = CompiledSlot(shape)
    return demand
