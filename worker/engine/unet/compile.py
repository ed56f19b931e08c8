"""`python -m worker.engine.unet.compile SHAPE PACKAGE`: a UNet compiled for one latent size.

Ahead of time and in a process of its own: in the worker's, tracing would hold the interpreter for
half a minute of everybody's steps. Rows stay free, weights are left out: one package serves every
fine-tune of an architecture. See torch's AOTInductor.

A package is a folder: from a file each process would unpack a copy into /tmp. It is there whole or
not at all, and is made in a draft beside it. Ends when its standard input does.
"""

import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import diffusers
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from worker.engine.device import Device, accelerator, processor
from worker.engine.models.fuse import fuse_projections

MOST_ROWS = 63  # torch asks to keep a dynamic dimension below 2^6 here
MODEL = "data/aotinductor/model"  # where torch looks for it in a package
ABANDONED_S = 6 * 3600.0
RECIPE = 2  # of compile_unet: what it made by another one is another package


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

    `added`: the widths of SDXL's conditions. `machine`: a package is code for this processor, and
    divides its work among so many `threads` (0 on a GPU).
    """

    config: dict[str, Any]
    height: int
    width: int
    tokens: int
    added: dict[str, int]
    device: str
    dtype: str
    machine: str
    threads: int
    torch: str
    diffusers: str
    recipe: int = RECIPE

    @classmethod
    def of(
        cls, unet: Any, at: Device, *, height: int, width: int, tokens: int, added: dict[str, int]
    ) -> Self:
        """What is compiled for calls of this UNet at this size, here."""
        machine = " ".join([processor(), _instructions(), *platform.libc_ver()])
        threads = torch.get_num_threads()
        if at.device.type == "cuda":
            threads = 0
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
            threads=threads,
            torch=torch.__version__,
            diffusers=diffusers.__version__,
        )

    @property
    def id(self) -> str:
        """The name of its package."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:20]


@cache
def _instructions() -> str:
    """A digest of all that the processor can do: the compiler uses whatever is there."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return sha256(flags.encode()).hexdigest()[:8]


def compile_unet(shape: Shape, package: Path) -> None:
    """Write the package, and call it. The weights are arbitrary: they are no part of it."""
    at = Device.choose(shape.device, shape.dtype)
    if at.device.type == "cuda":
        torch.cuda.set_device(at.device)
    else:
        torch.set_num_threads(shape.threads)
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
    packed = torch._inductor.aoti_compile_and_package(
        program,
        package_path=f"{package}.pt2",
        inductor_configs={
            "aot_inductor.package_constants_in_so": False,
            # Else it writes what has few numbers, the last convolution's bias, into the code.
            "always_keep_tensor_constants": True,
        },
    )
    (package / MODEL).mkdir(parents=True)
    with zipfile.ZipFile(packed) as archive:
        for path in map(Path, archive.namelist()):
            if path.parent.match(f"*/{MODEL}"):
                (package / MODEL / path.name).write_bytes(archive.read(str(path)))
    Path(packed).unlink()
    call = load(package, unet)  # if that or a call kills a process, let it be this one
    for some in (1, 2):
        call(*torch.utils._pytree.tree_map(lambda each, some=some: each[:some], inputs))
    if at.device.type == "cuda":
        torch.cuda.synchronize()


def load(package: Path, unet: Any) -> Any:
    """The call in a package, with this UNet's weights. Raises ValueError if it has its own."""
    from torch.export.pt2_archive._package import (
        AOTICompiledModel,
    )  # a second, for those who compile

    compiled = AOTICompiledModel(
        # What torch._inductor.aoti_load_package does with a file; a folder it warns about.
        torch._C._aoti.AOTIModelPackageLoader(str(package), "model", False, 1, -1)
    )
    bare = Bare(unet)
    tensors = dict(bare.named_parameters()) | dict(bare.named_buffers())
    names = set(compiled.get_constant_fqns())
    if left_out := tensors.keys() - names:
        raise ValueError(f"The package has weights of its own: {', '.join(sorted(left_out))}.")
    compiled.load_constants(
        {name: tensors[name] for name in names}, check_full_update=True, user_managed=True
    )
    return compiled


def _make(shape: Shape, package: Path) -> None:
    for other in package.parent.glob("*.draft"):
        with suppress(OSError):  # its owner is removing it
            if time.time() - other.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(other)
    with tempfile.TemporaryDirectory(
        prefix=f"{package.name}.", suffix=".draft", dir=package.parent, ignore_cleanup_errors=True
    ) as name:
        draft = Path(name)
        threading.Thread(target=_end_with_parent, args=[draft], daemon=True).start()
        tempfile.tempdir = name
        names = ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
        os.environ.update(dict.fromkeys(names, name))  # Inductor's and g++'s: hundreds of megabytes
        compile_unet(shape, draft / "package")
        try:
            (draft / "package").replace(package)
        except OSError:
            if not package.exists():  # or another worker was faster
                raise


def _end_with_parent(draft: Path) -> None:
    os.read(0, 1)  # the worker never writes: this returns when it is gone
    shutil.rmtree(draft, ignore_errors=True)
    if os.getpgrp() == os.getpid():  # not if started by hand, among others
        os.killpg(0, signal.SIGKILL)  # g++ with us
    os._exit(1)


if __name__ == "__main__":
    _make(Shape(**json.loads(sys.argv[1])), Path(sys.argv[2]).absolute())
