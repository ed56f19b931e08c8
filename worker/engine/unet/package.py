"""A compiled UNet on disk: a folder with code for one shape of call, and no weights."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from worker.engine.unet.eager import eager
from worker.engine.unet.inputs import UNetInputs

MODEL = "data/aotinductor/model"  # where torch looks for it in a package


class BareUNet(nn.Module):
    """A UNet with tensors in and a tensor out, as it is exported into a package."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        hidden: torch.Tensor,
        added: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        """One call; the arguments are UNetInputs.tensors."""
        return eager(self.unet, UNetInputs(x, t, hidden, added))


def load(package: Path, unet: Any) -> Any:
    """The call in a package, with this UNet's weights.

    Raises ValueError if the package has weights of its own, and whatever torch raises.
    """
    from torch.export.pt2_archive._package import (
        AOTICompiledModel,
    )  # imported here: it takes a second, which only compiled calls need

    compiled = AOTICompiledModel(
        # What torch._inductor.aoti_load_package does with a file; of a folder it warns.
        torch._C._aoti.AOTIModelPackageLoader(str(package), "model", False, 1, -1)
    )
    bare = BareUNet(unet)
    tensors = dict(bare.named_parameters()) | dict(bare.named_buffers())
    names = set(compiled.get_constant_fqns())
    if left_out := tensors.keys() - names:
        raise ValueError(f"The package has weights of its own: {', '.join(sorted(left_out))}.")
    compiled.load_constants(
        {name: tensors[name] for name in names}, check_full_update=True, user_managed=True
    )
    return compiled
