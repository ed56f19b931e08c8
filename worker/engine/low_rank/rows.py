"""LoRA's terms added to a network's layers for some rows of one call, without touching a module.

Rows are selected, never multiplied by zero: 0 · ∞ is not a number, and one caller's file would
spoil everybody's rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import torch

from worker.engine.low_rank.batch import Batch, rank_class
from worker.engine.low_rank.sites import Site, Sites
from worker.engine.low_rank.term import Layers, LowRank

Batches: TypeAlias = dict[tuple[int, ...], Batch]  # by the uses whose terms are one product


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """An adapter's layers, and the rows of a call that they are for, each with its own weight.

    rows: their places, in runs; none for all rows of the call. weights [rows], fp32.
    """

    layers: Layers
    weights: torch.Tensor
    rows: tuple[range, ...] = ()
    _factors: dict[tuple[float, int], torch.Tensor] = field(default_factory=dict)

    def factors(self, scale: float, axes: int) -> torch.Tensor:
        """weight · scale of each row, to be multiplied with a tensor of so many axes."""
        found = self._factors.get((scale, axes))
        if found is None:
            found = (self.weights * scale).reshape(-1, *[1] * (axes - 1))
            self._factors[scale, axes] = found
        return found


@contextmanager
def adapted(network: Sites, uses: Sequence[Use], *, together: bool = False) -> Iterator[None]:
    """Around one call of a network: the layers of these uses give their terms too.

    together: those of several adapters are one product where that is quicker. The last bits of a
    row then depend on what else is in the call.
    """
    by_path: dict[str, list[Use]] = {}
    for use in uses:
        for path in use.layers:
            by_path.setdefault(path, []).append(use)
    batches: Batches = {}
    with ExitStack() as hooks:
        for path, own in by_path.items():
            site = network[path]
            groups = _groups(path, own) if together else [[use] for use in own]
            add = partial(_add_terms, site, path, groups, batches)
            hooks.callback(site.module.register_forward_hook(add).remove)
        yield


def _groups(path: str, uses: Sequence[Use]) -> list[list[Use]]:
    """Those whose terms are one product: of linear layers, and of about the same rank."""
    groups: dict[object, list[Use]] = {}
    for use in uses:
        down = use.layers[path].down
        group = rank_class(len(down)) if down.ndim == 2 else use
        groups.setdefault(group, []).append(use)
    return list(groups.values())


def _add_terms(
    site: Site,
    path: str,
    groups: Sequence[Sequence[Use]],
    batches: Batches,
    module: Any,
    arguments: tuple[torch.Tensor, ...],
    output: torch.Tensor,
) -> None:
    x, own = arguments[0], site.part(output)
    for group in groups:
        if len(group) == 1:
            _add_term(group[0], group[0].layers[path], module, x, own)
            continue
        key = tuple(map(id, group))
        if key not in batches:
            batches[key] = _batch(group, len(x))
        batches[key].add([use.layers[path] for use in group], x, own)


def _batch(uses: Sequence[Use], call_rows: int) -> Batch:
    rows = [list(chain.from_iterable(use.rows)) or range(call_rows) for use in uses]
    return Batch(rows, [use.weights for use in uses], call_rows)


def _add_term(use: Use, layer: LowRank, module: Any, x: torch.Tensor, output: torch.Tensor) -> None:
    factors = use.factors(layer.scale, x.ndim)
    if not use.rows:
        output += layer.of(module, x, factors)
        return
    # Copied: where the rows are in a call, and so in memory, changes no bit of a product.
    chosen = torch.cat([x[run.start : run.stop] for run in use.rows])
    begin, term = 0, layer.of(module, chosen, factors)
    for run in use.rows:
        output[run.start : run.stop] += term[begin : begin + len(run)]
        begin += len(run)
