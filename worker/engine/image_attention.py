"""Attention to pictures beside that to the prompt, for some rows of one call of a UNet.

hidden + attn(q, k, v), before the attention's output layer; Ye et al. 2023, arXiv:2308.06721. No
module is touched but by hooks for the length of the call. Rows are selected, never multiplied by
zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch.nn.functional import scaled_dot_product_attention

from worker.engine.low_rank.sites import Sites

KeysValues: TypeAlias = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Context:
    """What the rows of an image attend to besides their prompts.

    layers: keys and values [2, heads, tokens, d] of each cross attention, by its path; first those
    for rows of negative prompts, then those for all others. The values are weighted already.
    """

    tokens: int
    layers: Mapping[str, KeysValues]


@dataclass(frozen=True, slots=True)
class Look:
    """An image's rows of a call, of which the first `negative` are of negative prompts."""

    context: Context
    rows: range
    negative: int

    def of(self, path: str) -> KeysValues:
        """Keys and values [rows, heads, tokens, d] at one attention."""
        keys, values = self.context.layers[path]
        return self._by_row(keys), self._by_row(values)

    def _by_row(self, sides: torch.Tensor) -> torch.Tensor:
        counts = (self.negative, len(self.rows) - self.negative)
        if counts == (1, 1):
            return sides
        shape = sides.shape[1:]
        return torch.cat([sides[k : k + 1].expand(n, *shape) for k, n in enumerate(counts)])


def together(looks: Sequence[Look], *, apart: bool) -> list[list[Look]]:
    """The looks that are computed in one product: those at equally many tokens.

    Kept `apart`, as in strict calls, each is alone: there neighbours must change neither the shape
    nor the order of a row's sums.
    """
    groups: dict[tuple[int, int], list[Look]] = {}
    for number, look in enumerate(looks):
        groups.setdefault((look.context.tokens, number if apart else -1), []).append(look)
    # An image with several adapters has the same rows several times: not in one product.
    return [part for group in groups.values() for part in _disjoint(group)]


@contextmanager
def looking(network: Sites, groups: Sequence[Sequence[Look]]) -> Iterator[None]:
    """Around one call of a UNet: the rows of these looks attend to their contexts too."""
    paths = {path: None for group in groups for look in group for path in look.context.layers}
    with ExitStack() as hooks:
        for path in paths:
            own = [group for group in groups if path in group[0].context.layers]
            queries: list[torch.Tensor] = []
            to_q, to_out = (network[f"{path}.{name}"].module for name in ("to_q", "to_out.0"))
            before = to_out.register_forward_pre_hook(partial(_add, path, own, queries))
            hooks.callback(before.remove)
            after = to_q.register_forward_hook(partial(_keep, queries))
            hooks.callback(after.remove)
        yield


def _disjoint(looks: Sequence[Look]) -> Iterator[list[Look]]:
    left = list(looks)
    while left:
        rows = {look.rows.start: look for look in reversed(left)}
        yield sorted(rows.values(), key=lambda look: look.rows.start)
        left = [look for look in left if rows[look.rows.start] is not look]


def _keep(queries: list[torch.Tensor], _: Any, __: Any, output: torch.Tensor) -> None:
    """LoRAs' terms are added to the same tensor."""
    queries[:] = [output]


def _add(
    path: str,
    groups: Sequence[Sequence[Look]],
    queries: list[torch.Tensor],
    _: Any,
    arguments: tuple[torch.Tensor, ...],
) -> None:
    hidden, query = arguments[0], queries.pop()
    for group in groups:
        # Copied: where the rows are in a call, and so in memory, changes no bit of a product.
        chosen = torch.cat([query[look.rows.start : look.rows.stop] for look in group])
        both = zip(*(look.of(path) for look in group), strict=True)
        keys, values = (torch.cat(each) for each in both)
        heads = chosen.reshape(*chosen.shape[:2], keys.shape[1], -1).transpose(1, 2)
        term = scaled_dot_product_attention(heads, keys, values).transpose(1, 2).flatten(2)
        begin = 0
        for look in group:
            own = hidden[look.rows.start : look.rows.stop]
            own += term[begin : begin + len(look.rows)]
            begin += len(look.rows)
