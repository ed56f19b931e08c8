"""An adapter in one call: which rows have it, and with which weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch

from worker.engine.low_rank.sites import Site
from worker.engine.low_rank.term import Layers


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """An adapter's layers, and the rows of a call that they are for, each with its own weight.

    rows: their places, in runs; none for all rows of the call.
    """

    layers: Layers
    weights: Sequence[float]
    rows: tuple[range, ...] = ()
    _sent: dict[torch.device, torch.Tensor] = field(default_factory=dict)
    _factors: dict[tuple[float, int], torch.Tensor] = field(default_factory=dict)

    def places(self, call_rows: int) -> Sequence[int]:
        """Its rows in a call of so many."""
        return list(chain.from_iterable(self.rows)) or range(call_rows)

    def weights_on(self, device: torch.device) -> torch.Tensor:
        """The weights [rows], fp32."""
        if device not in self._sent:
            self._sent[device] = torch.tensor(self.weights, device=device)
        return self._sent[device]

    def factors(self, scale: float, x: torch.Tensor) -> torch.Tensor:
        """weight · scale of each row, to be multiplied with a tensor of as many axes as x."""
        found = self._factors.get((scale, x.ndim))
        if found is None:
            found = (self.weights_on(x.device) * scale).reshape(-1, *[1] * (x.ndim - 1))
            self._factors[scale, x.ndim] = found
        return found

    def add(self, path: str, module: Any, x: torch.Tensor, output: torch.Tensor) -> None:
        """Add the terms of the layer at this path to the output of its module for x, by itself."""
        layer = self.layers[path]
        factors = self.factors(layer.scale, x)
        if not self.rows:
            output += layer.of(module, x, factors)
            return
        # Copied: where the rows are in a call, and so in memory, changes no bit of a product.
        chosen = torch.cat([x[run.start : run.stop] for run in self.rows])
        begin, term = 0, layer.of(module, chosen, factors)
        for run in self.rows:
            output[run.start : run.stop] += term[begin : begin + len(run)]
            begin += len(run)


@dataclass(frozen=True, slots=True)
class At:
    """A layer, and those that have terms there."""

    path: str
    site: Site
    uses: Sequence[Use]
