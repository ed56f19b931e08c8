"""LoRA's terms added to a network's layers for some rows of one call.

Rows are selected, never multiplied by zero: 0 · ∞ is not a number, and one caller's file would
spoil everybody's rows.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from worker.engine.low_rank.sites import Sites
from worker.engine.low_rank.together import Together
from worker.engine.low_rank.use import At, Use


@contextmanager
def adapted(network: Sites, uses: Sequence[Use], *, together: bool = False) -> Iterator[None]:
    """Around one call of a network: the layers of these uses give their terms too.

    together: rows with the same adapters share merged weights, or the terms of several adapters
    are one product, where that is quicker. The last bits of a row then depend on what else is in
    the call.
    """
    call = Together(uses)
    with ExitStack() as exits:
        for module, layers in _by_module(network, uses).items():
            if together:
                exits.enter_context(_replaced(module, partial(call.forward, module, layers)))
            else:
                hook = module.register_forward_hook(partial(_add_apart, layers))
                exits.callback(hook.remove)
        yield


def _by_module(network: Sites, uses: Sequence[Use]) -> dict[Any, list[At]]:
    by_path: dict[str, list[Use]] = {}
    for use in uses:
        for path in use.layers:
            by_path.setdefault(path, []).append(use)
    found: dict[Any, list[At]] = {}
    for path, own in by_path.items():
        site = network[path]
        found.setdefault(site.module, []).append(At(path, site, own))
    return found


@contextmanager
def _replaced(module: Any, forward: Callable[..., torch.Tensor]) -> Iterator[None]:
    """The module's forward is another one, which is given its own first."""
    before = vars(module).get("forward")
    module.forward = partial(forward, module.forward)
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def _add_apart(
    layers: Sequence[At], module: Any, arguments: tuple[torch.Tensor, ...], output: torch.Tensor
) -> None:
    for at in layers:
        for use in at.uses:
            use.add(at.path, module, arguments[0], at.site.part(output))
