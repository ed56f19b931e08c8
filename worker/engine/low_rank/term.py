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


Layers: TypeAlias = Mapping[str, LowRank]  # by the path of their module
