"""`python -m worker.engine.unet.compile SHAPE PACKAGE`: compile a UNet for one latent size.

Ahead of time and in a process of its own: in the worker's, tracing would hold the interpreter for
half a minute, and all steps would wait. Rows stay free, weights are left out: one package serves
every fine-tune of an architecture. See torch's AOTInductor.

A package is a folder: from a file each process would unpack a copy into /tmp. It is built in a
draft folder beside it and moved into place, so it is there whole or not at all. The process ends
when its standard input does.
"""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from worker.engine.device import Device
from worker.engine.models.fuse import fuse_projections
from worker.engine.unet.package import MODEL, BareUNet, load
from worker.engine.unet.shape import MAX_ROWS, Shape
from worker.process.parent_end import signal_at_parents_end

ABANDONED_S: Final = 6 * 3600.0

Arguments: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]


def compile_unet(shape: Shape, package: Path) -> None:
    """Write the package, and call it. The weights are arbitrary: they are no part of it."""
    at = Device.choose(shape.device, shape.dtype)
    if at.device.type == "cuda":
        torch.cuda.set_device(at.device)
    else:
        torch.set_num_threads(shape.threads)
    unet = _unet(shape, at)
    inputs = _example(shape, unet, at)
    rows = torch.export.Dim("rows", min=1, max=MAX_ROWS)
    program = torch.export.export(
        BareUNet(unet),
        inputs,
        dynamic_shapes=({0: rows}, {0: rows}, {0: rows}, {name: {0: rows} for name in shape.added}),
        strict=False,
    )
    packed = torch._inductor.aoti_compile_and_package(
        program,
        package_path=f"{package}.pt2",
        inductor_configs={
            "aot_inductor.package_constants_in_so": False,
            # Otherwise small constants, like the last convolution's bias, are written into the
            # code.
            "always_keep_tensor_constants": True,
        },
    )
    _unpack(Path(packed), package)
    call = load(package, unet)  # if that or a call kills a process, let it be this one
    for some in (1, 2):
        call(*torch.utils._pytree.tree_map(lambda each, some=some: each[:some], inputs))
    if at.device.type == "cuda":
        torch.cuda.synchronize()


def _unet(shape: Shape, at: Device) -> Any:
    """A UNet of this shape, laid out as the worker's, with uninitialised weights."""
    with torch.device("meta"):  # so that it takes no more memory than the one that is served
        unet = UNet2DConditionModel.from_config(shape.config)
    if at.device.type == "cuda":
        fuse_projections(unet)
    unet = unet.to(at.dtype, memory_format=at.memory_format).to_empty(device=at.device)
    return unet.eval().requires_grad_(False)


def _example(shape: Shape, unet: Any, at: Device) -> Arguments:
    """Arguments of a call with four rows."""
    x = torch.zeros(4, unet.config.in_channels, shape.height, shape.width)
    return (
        x.to(at.device, at.dtype, memory_format=at.memory_format),
        torch.zeros(4, device=at.device),
        torch.zeros(4, shape.tokens, unet.config.cross_attention_dim, dtype=at.dtype).to(at.device),
        {
            name: torch.zeros(4, width, dtype=at.dtype).to(at.device)
            for name, width in shape.added.items()
        },
    )


def _unpack(packed: Path, package: Path) -> None:
    """Torch's archive to a folder."""
    (package / MODEL).mkdir(parents=True)
    with zipfile.ZipFile(packed) as archive:
        for path in map(Path, archive.namelist()):
            if path.parent.match(f"*/{MODEL}"):
                (package / MODEL / path.name).write_bytes(archive.read(str(path)))
    packed.unlink()


def make(shape: Shape, package: Path) -> None:
    """Build the package in a draft folder and move it into place; remove abandoned drafts."""
    for other in package.parent.glob("*.draft"):
        with suppress(OSError):  # its owner is removing it
            if time.time() - other.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(other)
    with (
        tempfile.TemporaryDirectory(
            prefix=f"{package.name}.",
            suffix=".draft",
            dir=package.parent,
            ignore_cleanup_errors=True,
        ) as draft_name,
        _plain(draft := Path(draft_name)) as name,
    ):
        signal_at_parents_end(signal.SIGCONT)  # were it stopped, it could not end with its parent
        threading.Thread(target=_end_with_parent, args=[draft], daemon=True).start()
        tempfile.tempdir = name
        names = ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
        os.environ.update(dict.fromkeys(names, name))  # Inductor's and g++'s: hundreds of megabytes
        compile_unet(shape, Path(name) / "package")
        try:
            (draft / "package").replace(package)
        except OSError:
            if not package.exists():  # or another worker was faster
                raise


@contextmanager
def _plain(folder: Path) -> Iterator[str]:
    """A path to the folder without quotes and spaces: Inductor's command lines quote nothing."""
    if re.fullmatch(r"[\w/.+-]+", str(folder)):
        yield str(folder)
        return
    with tempfile.TemporaryDirectory(prefix="latentry-") as links:
        link = Path(links) / "draft"
        link.symlink_to(folder)
        yield str(link)


def _end_with_parent(draft: Path) -> None:
    os.read(0, 1)  # the worker never writes: this returns when it is gone
    shutil.rmtree(draft, ignore_errors=True)
    if os.getpgrp() == os.getpid():  # not if started by hand, in a shell's process group
        os.killpg(0, signal.SIGKILL)  # g++ too
    os._exit(1)


if __name__ == "__main__":
    make(Shape(**json.loads(sys.argv[1])), Path(sys.argv[2]).absolute())
