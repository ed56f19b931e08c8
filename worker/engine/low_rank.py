"""LoRA's terms added to a network's layers for some rows of one call, without touching a module.

y = W x + Σ weight · scale · up(down(x)); Hu et al. 2021, arXiv:2106.09685. Rows are selected, never
multiplied by zero: 0 · ∞ is not a number, and one caller's file would spoil everybody's rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch
from torch.nn.functional import linear


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """One layer's term. `scale`: alpha / rank of this layer.

    Of a linear layer: down [rank, in], up [out, rank]. Of a convolution: down [rank, in, kh, kw]
    and up [out, rank, 1, 1]; or, as Tucker decomposition, down [rank, in, 1, 1] and mid
    [rank, rank, kh, kw] between the two.
    """

    down: torch.Tensor
    up: torch.Tensor
    scale: float
    mid: torch.Tensor | None = None

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return self.down.nbytes + self.up.nbytes + (0 if self.mid is None else self.mid.nbytes)

    def of(self, module: Any, x: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """The term for x [rows, …, in] or [rows, in, h, w]; factors [rows, 1, …]: weight · scale.

        The factors are applied where there is least to multiply.
        """
        if self.down.ndim == 2:
            return linear(linear(x, self.down).mul_(factors), self.up)
        # torch.conv2d, which circular padding of seamless images looks for.
        at = (module.stride, module.padding, module.dilation)
        if self.mid is None:
            between = torch.conv2d(x, self.down, None, *at)
        else:
            between = torch.conv2d(torch.conv2d(x, self.down), self.mid, None, *at)
        return torch.conv2d(between.mul_(factors), self.up)


Layers: TypeAlias = Mapping[str, LowRank]  # by the path of their module


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


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A layer of a network: its module, and which of the module's outputs are the layer's.

    On a GPU queries, keys and values of an attention are one module.
    """

    module: Any
    begin: int = 0
    length: int | None = None

    def part(self, output: torch.Tensor) -> torch.Tensor:
        """The layer's own output, a view."""
        return output if self.length is None else output.narrow(-1, self.begin, self.length)


Sites: TypeAlias = Mapping[str, Site]
_FUSED = {"to_qkv": ("to_q", "to_k", "to_v"), "to_kv": ("to_k", "to_v")}


def sites(network: Any) -> Sites:
    """All layers of a network by the path that they have in its files.

    A CLIP encoder's are without `text_model.`, which versions of transformers differ about.
    """
    found: dict[str, Site] = {}
    for path, module in network.named_modules():
        if not isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            continue
        path = path.removeprefix("text_model.")
        block, _, name = path.rpartition(".")
        found[path] = Site(module)
        parts = _FUSED.get(name, ())
        for number, part in enumerate(parts):
            length = module.weight.shape[0] // len(parts)
            found[f"{block}.{part}"] = Site(module, number * length, length)
    return found


@contextmanager
def adapted(network: Sites, uses: Sequence[Use]) -> Iterator[None]:
    """Around one call of a network: the layers of these uses give their terms too."""
    by_path: dict[str, list[Use]] = {}
    for use in uses:
        for path in use.layers:
            by_path.setdefault(path, []).append(use)
    with ExitStack() as hooks:
        for path, own in by_path.items():
            site = network[path]
            hook = site.module.register_forward_hook(partial(_add_terms, site, path, own))
            hooks.callback(hook.remove)
        yield


def _add_terms(
    site: Site,
    path: str,
    uses: Sequence[Use],
    module: Any,
    arguments: tuple[torch.Tensor, ...],
    output: torch.Tensor,
) -> None:
    x, own = arguments[0], site.part(output)
    for use in uses:
        layer = use.layers[path]
        factors = use.factors(layer.scale, x.ndim)
        if not use.rows:
            own += layer.of(module, x, factors)
            continue
        # Copied: where the rows are in a call, and so in memory, changes no bit of a product.
        chosen = torch.cat([x[run.start : run.stop] for run in use.rows])
        begin, term = 0, layer.of(module, chosen, factors)
        for run in use.rows:
            own[run.start : run.stop] += term[begin : begin + len(run)]
            begin += len(run)
