"""`python -m worker.engine.compile SHAPE OUT.pt2`: a UNet compiled for one latent size.

Ahead of time and in a process of its own: in the worker's, tracing would hold the interpreter for
half a minute of everybody's steps. Rows stay free, weights are left out: one package serves every
fine-tune of an architecture. See torch's AOTInductor.
"""

import json
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import diffusers
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from worker.engine.device import Device
from worker.engine.fuse import fuse_projections
from worker.engine.profile import accelerator, processor

MOST_ROWS = 63  # torch asks to keep a dynamic dimension below 2^6 here


def eager(
    unet: Any,
    x: torch.Tensor,
    t: torch.Tensor,
    hidden: torch.Tensor,
    added: dict[str, torch.Tensor],
) -> torch.Tensor:
    """[rows, C, h, w] from latents, timesteps [rows], embeddings and SDXL's conditions."""
    output: torch.Tensor = unet(
        x, t, encoder_hidden_states=hidden, added_cond_kwargs=added, return_dict=False
    )[0]
    return output


class Bare(nn.Module):
    """A UNet with tensors in and a tensor out, as a package has it."""

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
        """One call."""
        return eager(self.unet, x, t, hidden, added)


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a package depends on. `config` is the UNet's; sizes are the latent's.

    `added`: the widths of SDXL's conditions. `machine`: a package is code for this processor.
    """

    config: dict[str, Any]
    height: int
    width: int
    tokens: int
    added: dict[str, int]
    device: str
    dtype: str
    machine: str
    torch: str
    diffusers: str

    @classmethod
    def of(
        cls, unet: Any, at: Device, *, height: int, width: int, tokens: int, added: dict[str, int]
    ) -> Self:
        """What is compiled for calls of this UNet at this size, here."""
        machine = processor()
        if at.device.type == "cuda":
            machine += f" {accelerator(at.device)} {torch.cuda.get_device_capability(at.device)}"
        return cls(
            # Names that begin so tell where the config came from, in an order that is never twice
            # the same.
            config={name: v for name, v in unet.config.items() if not name.startswith("_")},
            height=height,
            width=width,
            tokens=tokens,
            added=added,
            device=str(at.device),
            dtype=str(at.dtype).removeprefix("torch."),
            machine=machine,
            torch=torch.__version__,
            diffusers=diffusers.__version__,
        )

    @property
    def id(self) -> str:
        """The name of its package."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:20]


def compile_unet(shape: Shape, out: Path) -> None:
    """Write the package. The weights are arbitrary: they are no part of it."""
    at = Device.choose(shape.device, shape.dtype)
    with torch.device("meta"):  # so that it takes no more memory than the one that is served
        unet = UNet2DConditionModel.from_config(shape.config)
    if at.device.type == "cuda":
        fuse_projections(unet)
    unet = unet.to(at.dtype, memory_format=at.memory_format).to_empty(device=at.device)
    unet = unet.eval().requires_grad_(False)
    rows = torch.export.Dim("rows", min=1, max=MOST_ROWS)
    x = torch.zeros(4, unet.config.in_channels, shape.height, shape.width)
    inputs = (
        x.to(at.device, at.dtype, memory_format=at.memory_format),
        torch.zeros(4, device=at.device),
        torch.zeros(4, shape.tokens, unet.config.cross_attention_dim, dtype=at.dtype).to(at.device),
        {
            name: torch.zeros(4, width, dtype=at.dtype).to(at.device)
            for name, width in shape.added.items()
        },
    )
    program = torch.export.export(
        Bare(unet),
        inputs,
        dynamic_shapes=({0: rows}, {0: rows}, {0: rows}, {name: {0: rows} for name in shape.added}),
        strict=False,
    )
    torch._inductor.aoti_compile_and_package(
        program,
        package_path=str(out),
        inductor_configs={
            "aot_inductor.package_constants_in_so": False,
            # Else it writes what has few numbers, the last convolution's bias, into the code.
            "always_keep_tensor_constants": True,
        },
    )


def _end_with_parent() -> None:
    os.read(0, 1)  # the worker never writes: this returns when it is gone
    if os.getpgrp() == os.getpid():  # not if started by hand, among others
        os.killpg(0, signal.SIGKILL)  # g++ with us
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    wanted, target = sys.argv[1:]
    compile_unet(Shape(**json.loads(wanted)), Path(target))
