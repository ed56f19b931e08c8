"""LoRA's term of one layer: y = W x + weight · scale · up(down(x)).

Hu et al. 2021, arXiv:2106.09685.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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

    def add(self, module: Any, x: torch.Tensor, output: torch.Tensor, factor: float) -> None:
        """Add factor · up(down(x)) to the output of x's rows, with as few operations as can be.

        A convolution's output is in the order of channels_last.
        """
        if self.down.ndim == 2:
            between = torch.mm(x.reshape(-1, x.shape[-1]), self.down.t())
            output.view(-1, output.shape[-1]).addmm_(between, self.up.t(), alpha=factor)
            return
        # A small product takes a fraction of the time of a small convolution.
        between, places = (_positions(images) for images in (self._between(module, x), output))
        places.addmm_(between, self.up.flatten(1).t(), alpha=factor)

    def _between(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        """A convolution's down(x), [rows, rank, h, w]."""
        at = (module.stride, module.padding, module.dilation)
        if self.mid is not None:
            return torch.conv2d(self._pointwise(x), self.mid, None, *at)
        if module.kernel_size == (1, 1) and module.stride == (1, 1):
            return self._pointwise(x)
        return torch.conv2d(x, self.down, None, *at)

    def _pointwise(self, x: torch.Tensor) -> torch.Tensor:
        """down(x) of a kernel of 1 × 1, [rows, rank, h, w]."""
        rows, _, height, width = x.shape
        found = torch.mm(_positions(x), self.down.flatten(1).t())
        return found.view(rows, height, width, -1).permute(0, 3, 1, 2)

    def merge(self, weight: torch.Tensor, factor: float) -> None:
        """Add factor · up · down to a weight as `flat` makes it, [out, …] in place."""
        down = self.down
        if self.mid is not None:
            down = torch.einsum("abhw,bi->aihw", self.mid, down[:, :, 0, 0])
        weight.addmm_(self.up.flatten(1), flat(down), alpha=factor)


def _positions(images: torch.Tensor) -> torch.Tensor:
    """[positions, channels] of [rows, channels, h, w]; in the order of channels_last a view."""
    return images.permute(0, 2, 3, 1).flatten(0, 2)


def flat(weight: torch.Tensor) -> torch.Tensor:
    """A layer's weight [out, in] or [out, in, kh, kw] as one matrix, [out, (kh · kw ·) in].

    The order of channels_last: of a weight in that order it is a view.
    """
    return weight if weight.ndim == 2 else weight.permute(0, 2, 3, 1).flatten(1)


Layers: TypeAlias = Mapping[str, LowRank]  # by the path of their module
