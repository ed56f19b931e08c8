"""Compiled UNets: made beside the step loop, kept on disk, taken up when they are ready."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import structlog
import torch
from torch import nn

from worker.engine.compile import Bare, Shape

log = structlog.get_logger()

# With the lowest priority: whoever is being served comes first.
_COMPILER: Final = ("nice", "-n", "19", sys.executable, "-m", "worker.engine.compile")


class Packages:
    """One compiler at a time, in a process of its own.

    Until a package is there its calls run eagerly. A package that does not come out is not tried
    again before the next start.
    """

    def __init__(self, folder: Path, *, compiler: Sequence[str] = _COMPILER) -> None:
        self._folder = folder
        self._command = compiler
        self._wanted: list[Shape] = []
        self._failed: set[str] = set()
        self._compiler: tuple[Shape, subprocess.Popen[bytes]] | None = None

    def find(self, shape: Shape, unet: nn.Module) -> Any | None:
        """The compiled call with this UNet's weights, or None so far. Ask again at any time."""
        package = self._folder / f"{shape.id}.pt2"
        if package.exists() and shape.id not in self._failed:
            return self._load(shape, package, unet)
        if shape not in self._wanted and shape.id not in self._failed:
            self._wanted.append(shape)
        self._go_on()
        return None

    def close(self) -> None:
        """Stop compiling."""
        if self._compiler is not None:
            self._compiler[1].kill()
            self._compiler[1].communicate()

    def _go_on(self) -> None:
        if self._compiler is not None:
            shape, process = self._compiler
            if process.poll() is None:
                return
            self._compiler = None
            self._wanted.remove(shape)
            self._keep(shape, process)
        if self._wanted:
            self._compiler = (self._wanted[0], self._start(self._wanted[0]))

    def _start(self, shape: Shape) -> "subprocess.Popen[bytes]":
        self._folder.mkdir(parents=True, exist_ok=True)
        ordered = self._folder / f"{shape.id}.json"
        ordered.write_text(json.dumps(asdict(shape)))
        command = [*self._command, str(ordered), str(self._draft(shape))]
        log.info("compile.started", package=shape.id, height=shape.height, width=shape.width)
        return subprocess.Popen(  # noqa: S603 - our own words
            command,
            stdin=subprocess.PIPE,  # held open as long as we live
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _keep(self, shape: Shape, process: "subprocess.Popen[bytes]") -> None:
        process.communicate()
        draft = self._draft(shape)
        if process.returncode == 0 and draft.exists():
            draft.replace(self._folder / f"{shape.id}.pt2")
            log.info("compile.done", package=shape.id)
        else:
            self._failed.add(shape.id)
            log.warning("compile.failed", package=shape.id, exit=process.returncode)

    def _draft(self, shape: Shape) -> Path:
        return self._folder / f"{shape.id}.draft.pt2"

    def _load(self, shape: Shape, package: Path, unet: nn.Module) -> Any | None:
        try:
            compiled = torch._inductor.aoti_load_package(str(package))
        except (OSError, RuntimeError) as error:
            log.warning("compile.unusable", package=shape.id, why=type(error).__name__)
            self._failed.add(shape.id)
            package.unlink(missing_ok=True)
            return None
        bare = Bare(unet)
        tensors = dict(bare.named_parameters()) | dict(bare.named_buffers())
        names = compiled.get_constant_fqns()
        compiled.load_constants(
            {name: tensors[name] for name in names}, check_full_update=True, user_managed=True
        )
        return compiled
