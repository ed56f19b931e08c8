"""Several adapters' terms of one linear layer as one batched product, each row with its own.

After Punica (Chen et al. 2023, arXiv:2310.18547) and S-LoRA (Sheng et al. 2023, arXiv:2311.03285),
by plain gathers: where layers are small, what counts is the number of operations.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Final

import torch

from worker.engine.low_rank.term import LowRank

_LEAST: Final = 32


def rank_class(rank: int) -> int:
    """Adapters of one class share a product: ranks are filled up to the highest with zeros."""
    return max(_LEAST, 1 << (rank - 1).bit_length())


class Batch:
    """Which rows of a call have which of some adapters.

    rows: of each adapter, places in the call. weights: of each adapter, [its rows], fp32.
    """

    def __init__(
        self, rows: Sequence[Sequence[int]], weights: Sequence[torch.Tensor], call_rows: int
    ) -> None:
        pairs = [(row, number) for number, own in enumerate(rows) for row in own]
        order = sorted(range(len(pairs)), key=lambda place: pairs[place])
        self._rows = [pairs[place][0] for place in order]
        self._adapters = [pairs[place][1] for place in order]
        self._device = weights[0].device
        self._weights = torch.cat(list(weights))[self._sent(order)]
        self._is_all = self._rows == list(range(call_rows))
        self._scaled: dict[tuple[float, ...], torch.Tensor] = {}
        self._indices: dict[tuple[int, ...], torch.Tensor] = {}
        self._zeros: dict[int, torch.Tensor] = {}

    def add(self, layers: Sequence[LowRank], x: torch.Tensor, output: torch.Tensor) -> None:
        """Add the term of each row: x [rows, …, in], output [rows, …, out]; layers by adapter."""
        chosen = x if self._is_all else x.index_select(0, self._places)
        ranks = tuple(layer.down.shape[0] for layer in layers)
        down = self._gathered([layer.down for layer in layers], ranks)
        up = self._gathered([layer.up.t() for layer in layers], ranks)
        between = torch.bmm(chosen.reshape(len(chosen), -1, x.shape[-1]), down.transpose(1, 2))
        between.mul_(self._factors(tuple(layer.scale for layer in layers)))
        term = torch.bmm(between, up).view(*chosen.shape[:-1], -1)
        if self._is_all:
            output += term
        else:
            output.index_add_(0, self._places, term)

    def _gathered(self, weights: Sequence[torch.Tensor], ranks: tuple[int, ...]) -> torch.Tensor:
        """Of weights [rank, n] by adapter those of each row, [rows, highest rank, n]."""
        size = weights[0].shape[1]
        if size not in self._zeros:
            self._zeros[size] = weights[0].new_zeros(1, size)
        stacked = torch.cat([*weights, self._zeros[size]])
        chosen = stacked.index_select(0, self._index(ranks))
        return chosen.view(len(self._rows), -1, size)

    def _index(self, ranks: tuple[int, ...]) -> torch.Tensor:
        """Where in all ranks together those of each row are; the place after them has zeros."""
        found = self._indices.get(ranks)
        if found is None:
            highest, end = max(ranks), sum(ranks)
            begins = [sum(ranks[:number]) for number in range(len(ranks))]
            own = [
                [*range(begin, begin + rank), *[end] * (highest - rank)]
                for begin, rank in zip(begins, ranks, strict=True)
            ]
            found = self._sent(list(chain.from_iterable(own[number] for number in self._adapters)))
            self._indices[ranks] = found
        return found

    def _factors(self, scales: tuple[float, ...]) -> torch.Tensor:
        """weight · scale of each row, [rows, 1, 1]."""
        found = self._scaled.get(scales)
        if found is None:
            own = torch.tensor([scales[number] for number in self._adapters], device=self._device)
            found = self._scaled[scales] = (self._weights * own)[:, None, None]
        return found

    @cached_property
    def _places(self) -> torch.Tensor:
        return self._sent(self._rows)

    def _sent(self, numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor(numbers, device=self._device)
