"""The layers of a network by the paths that files have, and the modules that compute them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch


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

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """Of the module's weight [out, …] the layer's own, a view."""
        return weight if self.length is None else weight.narrow(0, self.begin, self.length)


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
