"""Compiled UNets: made beside the step loop, kept on disk, taken up when they are ready."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import structlog
import torch

from worker.engine.compile import Bare, Shape

log = structlog.get_logger()

# With the lowest priority: whoever is being served comes first.
_COMPILER: Final = ("nice", "-n", "19", sys.executable, "-m", "worker.engine.compile")


@dataclass(slots=True)
class Demand:
    """How often a UNet was called at one size, and the compiled call once it is there."""

    shape: Shape
    calls: int = 0
    ask_at_s: float = 0.0
    compiled: Any = None
    is_proved: bool = False


class Packages:
    """One compiler at a time, in a process of its own.

    A size is compiled after `worth_calls` calls, and at most `most` sizes before the next start:
    requests choose the sizes. Until a package is there calls run eagerly. Whatever goes wrong with
    one, it is not tried again before the next start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        compiler: Sequence[str] = _COMPILER,
        worth_calls: int = 200,
        most: int = 16,
        poll_s: float = 1.0,
    ) -> None:
        self._folder = folder
        self._command = compiler
        self._worth_calls = worth_calls
        self._left = most
        self._poll_s = poll_s
        self._wanted: list[Shape] = []  # the first of them is being compiled
        self._failed: set[str] = set()
        self._compiler: subprocess.Popen[bytes] | None = None

    def find(self, demand: Demand, unet: Any) -> Any | None:
        """The compiled call with this UNet's weights, or None so far. Asked before each call."""
        demand.calls += 1
        if demand.compiled is None and monotonic() >= demand.ask_at_s:
            demand.ask_at_s = monotonic() + self._poll_s
            with self._blaming(demand.shape):
                demand.compiled = self._look(demand, unet)
            self._go_on()
        return demand.compiled

    def give_up(self, shape: Shape, error: Exception) -> None:
        """Neither use nor make such a package again before the next start."""
        log.warning("compile.unusable", package=shape.id, why=repr(error))
        self._failed.add(shape.id)
        try:
            self._package(shape).unlink(missing_ok=True)
        except OSError as kept:
            log.warning("compile.kept", package=shape.id, why=repr(kept))

    def close(self) -> None:
        """Stop compiling."""
        if self._compiler is not None:
            os.killpg(self._compiler.pid, signal.SIGKILL)  # g++ with it
            self._compiler.communicate()

    @contextmanager
    def _blaming(self, shape: Shape) -> Iterator[None]:
        try:
            yield
        except torch.AcceleratorError:
            raise
        except Exception as error:  # a loader raises anything; the calls can do without it
            self.give_up(shape, error)

    def _look(self, demand: Demand, unet: Any) -> Any | None:
        shape = demand.shape
        if shape.id in self._failed:
            return None
        if self._package(shape).exists():
            return _load(self._package(shape), unet)
        if demand.calls >= self._worth_calls and self._left and shape not in self._wanted:
            self._left -= 1
            self._wanted.append(shape)
        return None

    def _go_on(self) -> None:
        if self._compiler is not None and self._compiler.poll() is not None:
            process, self._compiler = self._compiler, None
            shape = self._wanted.pop(0)
            with self._blaming(shape):
                self._keep(shape, process)
        while self._wanted and self._compiler is None:
            with self._blaming(self._wanted[0]):
                self._compiler = self._start(self._wanted[0])
            if self._compiler is None:
                self._wanted.pop(0)

    def _start(self, shape: Shape) -> "subprocess.Popen[bytes]":
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [*self._command, json.dumps(asdict(shape)), str(self._draft(shape))]
        log.info("compile.started", package=shape.id, height=shape.height, width=shape.width)
        return subprocess.Popen(  # noqa: S603 - our own words
            command,
            stdin=subprocess.PIPE,  # held open as long as we live
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # in a session of its own its low priority would count for nothing
        )

    def _keep(self, shape: Shape, process: "subprocess.Popen[bytes]") -> None:
        process.communicate()
        draft = self._draft(shape)
        if process.returncode == 0 and draft.exists():
            draft.replace(self._package(shape))
            log.info("compile.done", package=shape.id)
        else:
            draft.unlink(missing_ok=True)
            self._failed.add(shape.id)
            log.warning("compile.failed", package=shape.id, exit=process.returncode)

    def _package(self, shape: Shape) -> Path:
        return self._folder / f"{shape.id}.pt2"

    def _draft(self, shape: Shape) -> Path:
        """One's own: several workers may share the folder."""
        return self._folder / f"{shape.id}.{os.getpid()}.draft.pt2"


def _load(package: Path, unet: Any) -> Any:
    compiled = torch._inductor.aoti_load_package(str(package))
    bare = Bare(unet)
    tensors = dict(bare.named_parameters()) | dict(bare.named_buffers())
    names = set(compiled.get_constant_fqns())
    if left_out := tensors.keys() - names:
        raise ValueError(f"The package has weights of its own: {', '.join(sorted(left_out))}.")
    compiled.load_constants(
        {name: tensors[name] for name in names}, check_full_update=True, user_managed=True
    )
    return compiled
