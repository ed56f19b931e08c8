"""What controls add to a UNet's skip connections and to its middle, for some rows of a call.

As `down_block_additional_residuals` (ControlNet) and `down_intrablock_additional_residuals`
(T2I-Adapter) of diffusers' UNet2DConditionModel; but rows are selected, so
that others keep their bits, and one caller's file cannot spoil them.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """For each place in order: [rows, C, h, w], or [rows, C, 1, 1], or [1, C, h, w] for one run.

    Places are the skip connections, or the blocks on the way down, and then the middle. rows: whose
    they are in the call, in runs.
    """

    values: Sequence[torch.Tensor]
    rows: Sequence[range]

    def add(self, number: int, to: torch.Tensor) -> None:
        """Add the `number`-th of them to a tensor of the whole call."""
        begin = 0
        for run in self.rows:
            to[run.start : run.stop] += self.values[number][begin : begin + len(run)]
            begin += len(run)


@contextmanager
def with_residuals(
    unet: Any, each: Sequence[Residuals], inside: Sequence[Residuals] = ()
) -> Iterator[None]:
    """Around one call of a UNet: `each` is added before its way up, in this order.

    inside: what is added on the way down, so that the blocks below see it, and after the middle.
    """
    with ExitStack() as hooks:
        last = sum(len(block.resnets) for block in unet.up_blocks) if each else 0
        for number, block in enumerate(unet.up_blocks if each else ()):
            first = last - len(block.resnets)
            add = partial(_add, each, range(first, last), is_lowest=not number)
            hooks.callback(block.register_forward_pre_hook(add, with_kwargs=True).remove)
            last = first
        for number, module in enumerate(_inner(unet) if inside else ()):
            add_inside = partial(_add_inside, inside, number)
            hooks.callback(module.register_forward_hook(add_inside).remove)
        yield


def _inner(unet: Any) -> Iterator[Any]:
    """What is added to the outputs of: blocks that attend to prompts take it before they halve."""
    for block in unet.down_blocks:
        yield block.attentions[-1] if getattr(block, "has_cross_attention", False) else block
    if unet.mid_block is not None:
        yield unet.mid_block


def _add_inside(
    each: Sequence[Residuals], number: int, _: Any, arguments: tuple[Any, ...], output: Any
) -> None:
    """To what a module made just now; the last skip connection of a block is the same tensor."""
    made = output[0] if isinstance(output, tuple) else output
    for one in each:
        if number < len(one.values):
            one.add(number, made)


def _add(
    each: Sequence[Residuals],
    numbers: range,
    _: Any,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    *,
    is_lowest: bool,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """To the skip connections of one block, and to what comes to the lowest one from the middle."""
    if is_lowest:
        # Copied: without a middle block it is the last skip connection itself.
        options = options | {"hidden_states": options["hidden_states"].clone()}
    for one in each:
        for number, skip in zip(numbers, options["res_hidden_states_tuple"], strict=True):
            one.add(number, skip)
        if is_lowest:
            one.add(len(one.values) - 1, options["hidden_states"])
    return arguments, options
