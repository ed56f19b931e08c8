"""One call of a resident UNet: eager, or by a compiled package where one is ready."""

from typing import Any

import torch

from worker.engine.compile import MOST_ROWS, Shape
from worker.engine.packages import Packages
from worker.engine.stack import Stack


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
    compiled = _compiled(stack, packages, x, hidden, added)
    if compiled is not None:
        output: torch.Tensor = compiled(x, t, hidden, added)
    else:
        output = stack.unet(
            x, t, encoder_hidden_states=hidden, added_cond_kwargs=added, return_dict=False
        )[0]
    return output


def _compiled(
    stack: Stack,
    packages: Packages | None,
    x: torch.Tensor,
    hidden: torch.Tensor,
    added: dict[str, torch.Tensor],
) -> Any | None:
    if packages is None or len(x) > MOST_ROWS:
        return None
    size = (x.shape[2], x.shape[3], hidden.shape[1])
    if size not in stack.compiled:
        height, width, tokens = size
        shape = Shape(
            config=dict(stack.unet.config),
            height=height,
            width=width,
            tokens=tokens,
            added={name: value.shape[1] for name, value in added.items()},
            device=str(stack.at.device),
            dtype=str(stack.at.dtype).removeprefix("torch."),
            torch=torch.__version__,
        )
        found = packages.find(shape, stack.unet)
        if found is None:
            return None
        stack.compiled[size] = found
    return stack.compiled[size]
