"""One call of a resident UNet: eager, or by a compiled package where one is ready."""

import torch

from worker.engine.compile import MOST_ROWS, Shape, eager
from worker.engine.packages import Demand, Packages
from worker.engine.stack import Stack

ROUNDINGS = 64  # how far apart two right orders of summation may be, in the precision's steps


class WrongPackage(Exception):
    """It computes something else."""


def call(
    stack: Stack,
    packages: Packages | None,
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
        output: torch.Tensor = compiled(x, t, hidden, added)
        if not demand.is_proved:
            demand.is_proved = _agrees(output, eager(stack.unet, x, t, hidden, added))
    except torch.AcceleratorError:
        raise
    except Exception as error:  # whatever it is, a package calls it RuntimeError
        # If this fails too, for want of memory or by its input, the package is not to blame.
        output = eager(stack.unet, x, t, hidden, added)
        demand.compiled = None
        packages.give_up(demand.shape, error)
    return output


def _agrees(output: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether a package's first output is the eager one but for rounding.

    False if nothing can be told: rows that went wrong are not the package's fault. Raises
    WrongPackage.
    """
    wrong, size = (output - expected).float().norm(), expected.float().norm()
    if not size.isfinite():
        return False
    if not wrong <= ROUNDINGS * torch.finfo(expected.dtype).eps * size:
        raise WrongPackage(f"It is off by {float(wrong / size):.1e} of the output.")
    return True


def _demand(
    stack: Stack, x: torch.Tensor, hidden: torch.Tensor, added: dict[str, torch.Tensor]
) -> Demand:
    height, width, tokens = size = (x.shape[2], x.shape[3], hidden.shape[1])
    demand: Demand | None = stack.compiled.get(size)
    if demand is None:
        widths = {name: value.shape[1] for name, value in added.items()}
        shape = Shape.of(
            stack.unet, stack.at, height=height, width=width, tokens=tokens, added=widths
        )
        demand = stack.compiled[size] = Demand(shape)
    return demand
