"""Adapters merged into a layer's weight for as long as one call of that layer takes.

Where all rows have the same ones and many positions, making W + Σ weight · scale · up · down costs
less than the terms, and what is left is the layer's own product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.functional import linear

from worker.engine.low_rank.sites import Site
from worker.engine.low_rank.term import LowRank, flat

# A multiplication of merging costs less than one of terms, which read and write all positions.
# Half is an estimate, hardly tuned.
_DISCOUNT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Term:
    """What an adapter adds to a layer, a part of its module, and with which weight · scale."""

    site: Site
    layer: LowRank
    factor: float


def pays(module: Any, x: torch.Tensor) -> bool:
    """Whether merging a term takes less than computing it for all of x, whatever its rank."""
    weight: torch.Tensor = module.weight
    out, *rest = weight.shape
    into = torch.Size(rest).numel()
    positions = x.numel() // rest[0]
    return into * out * _DISCOUNT < (into + out) * positions


def merged(module: Any, terms: Sequence[Term], x: torch.Tensor) -> torch.Tensor:
    """The layer's output for x, with these terms of all its rows."""
    own: torch.Tensor = module.weight
    weight = flat(own).clone()
    for term in terms:
        term.layer.merge(term.site.rows(weight), term.factor)
    if own.ndim == 2:
        return linear(x, weight, module.bias)
    out, into, *kernel = own.shape
    kernels = weight.view(out, *kernel, into).permute(0, 3, 1, 2)
    result: torch.Tensor = module._conv_forward(x, kernels, module.bias)
    return result
