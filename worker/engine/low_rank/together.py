"""One call in which rows of several images are computed together, in the way that is quicker."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeAlias

import torch

from worker.engine.low_rank.batch import Batch, rank_class
from worker.engine.low_rank.merge import Term, merged, pays
from worker.engine.low_rank.use import At, Use

_Worn: TypeAlias = Sequence[tuple[Use, float]]  # by one row, with their weights


class Together:
    """One call. Rows that follow each other and have the same adapters and weights are alike."""

    def __init__(self, uses: Sequence[Use]) -> None:
        self._uses = uses
        self._alike: list[tuple[range, _Worn]] = []
        self._batches: dict[tuple[int, ...], Batch] = {}  # by the uses whose terms are one product

    def forward(
        self,
        module: Any,
        layers: Sequence[At],
        own: Callable[[torch.Tensor], torch.Tensor],
        x: torch.Tensor,
    ) -> torch.Tensor:
        """The module's output for x, with the terms of its layers. own: its forward."""
        self._alike = self._alike or _alike(self._uses, len(x))
        if len(self._alike) == 1 and pays(module, x):
            return merged(module, list(_terms(layers, self._alike[0][1])), x)
        output = own(x)
        if is_cheap_to_call(x.device):
            if module.weight.ndim == 4:  # that of a UNet is in this order already
                output = output.contiguous(memory_format=torch.channels_last)
            self._add_by_runs(layers, x, output)
        else:
            self._add_in_batches(layers, x, output)
        return output

    def _add_by_runs(self, layers: Sequence[At], x: torch.Tensor, output: torch.Tensor) -> None:
        """Two products for each run of rows that are alike; nothing is gathered."""
        sizes = [len(rows) for rows, _ in self._alike]
        for at in layers:
            outputs = torch.split_with_sizes(at.site.part(output), sizes)
            parts = zip(torch.split_with_sizes(x, sizes), outputs, strict=True)
            for (_, worn), (chosen, part) in zip(self._alike, parts, strict=True):
                for use, weight in worn:
                    if layer := use.layers.get(at.path):
                        layer.add(at.site.module, chosen, part, weight * layer.scale)

    def _add_in_batches(self, layers: Sequence[At], x: torch.Tensor, output: torch.Tensor) -> None:
        """As many operations, however many adapters."""
        for at in layers:
            part = at.site.part(output)
            for group in _groups(at):
                if len(group) == 1:
                    group[0].add(at.path, at.site.module, x, part)
                else:
                    own = [use.layers[at.path] for use in group]
                    self._batch(group, x).add(own, x, part)

    def _batch(self, group: Sequence[Use], x: torch.Tensor) -> Batch:
        key = tuple(map(id, group))
        if key not in self._batches:
            places = [use.places(len(x)) for use in group]
            weights = [use.weights_on(x.device) for use in group]
            self._batches[key] = Batch(places, weights, len(x))
        return self._batches[key]


def is_cheap_to_call(device: torch.device) -> bool:
    """Whether a small product costs about what it computes. A GPU's has to be launched."""
    return device.type == "cpu"


def _alike(uses: Sequence[Use], rows: int) -> list[tuple[range, _Worn]]:
    """All rows of a call in runs of those that are alike."""
    worn: list[list[tuple[Use, float]]] = [[] for _ in range(rows)]
    for use in uses:
        for row, weight in zip(use.places(rows), use.weights, strict=True):
            worn[row].append((use, weight))
    groups = [list(own) for _, own in groupby(range(rows), key=worn.__getitem__)]
    return [(range(own[0], own[-1] + 1), worn[own[0]]) for own in groups]


def _terms(layers: Sequence[At], worn: _Worn) -> Iterator[Term]:
    for use, weight in worn:
        for at in layers:
            if layer := use.layers.get(at.path):
                yield Term(at.site, layer, weight * layer.scale)


def _groups(at: At) -> list[list[Use]]:
    """Those whose terms are one product: of linear layers, and of about the same rank."""
    groups: dict[object, list[Use]] = {}
    for use in at.uses:
        down = use.layers[at.path].down
        group = rank_class(len(down)) if down.ndim == 2 else use
        groups.setdefault(group, []).append(use)
    return list(groups.values())
