"""Compiled UNets: made beside the step loop, kept on disk, taken up when they are ready."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final

import structlog
import torch

from worker.engine.unet.compile import Shape, load

log = structlog.get_logger()

# With the lowest priority: whoever is being served comes first.
_WHY: Final = 500  # characters of what a compiler that failed has said
_COMPILER: Final = ("nice", "-n", "19", sys.executable, "-m", "worker.engine.unet.compile")


@dataclass(slots=True)
class CompiledSlot:
    """How often a UNet was called at one size, and the compiled call once it is there."""

    shape: Shape
    calls: int = 0
    ask_at_s: float = 0.0
    compiled: Any = None
    is_proved: bool = False


class CompiledUNets:
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
        self._said: IO[bytes] | None = None  # by the compiler, for when it fails

    def find(self, demand: CompiledSlot, unet: Any) -> Any | None:
        """The compiled call with this UNet's weights, or None so far. Asked before each call."""
        demand.calls += 1
        if demand.compiled is None and monotonic() >= demand.ask_at_s:
            demand.ask_at_s = monotonic() + self._poll_s
            try:
                demand.compiled = self._look(demand, unet)
            except torch.AcceleratorError as error:
                self.give_up(demand, error)
                raise
            except Exception as error:  # a loader raises anything; the calls can do without it
                self.give_up(demand, error)
            self._go_on()
        return demand.compiled

    def give_up(self, demand: CompiledSlot, error: Exception) -> None:
        """Neither use nor make such a package again before the next start.

        One that was proved here stays for the next: it may have wanted memory that was not there.
        """
        shape, demand.compiled = demand.shape, None
        log.warning("compile.unusable", package=shape.id, why=repr(error))
        self._failed.add(shape.id)
        if demand.is_proved:
            return
        try:
            shutil.rmtree(self._package(shape))
        except FileNotFoundError:
            pass
        except OSError as kept:
            log.warning("compile.kept", package=shape.id, why=repr(kept))

    def _look(self, demand: CompiledSlot, unet: Any) -> Any | None:
        shape = demand.shape
        if shape.id in self._failed:
            return None
        if self._package(shape).exists():
            return load(self._package(shape), unet)
        if demand.calls >= self._worth_calls and self._left and shape not in self._wanted:
            self._left -= 1
            self._wanted.append(shape)
        return None

    def _go_on(self) -> None:
        if self._compiler is not None and self._compiler.poll() is not None:
            process, self._compiler = self._compiler, None
            self._end(self._wanted.pop(0), process)
        while self._wanted and self._compiler is None:
            shape = self._wanted[0]
            try:
                if shape.id not in self._failed and not self._package(shape).exists():
                    self._compiler = self._start(shape)
            except Exception as error:  # a folder's, mostly; the calls can do without it
                self._fail(shape, repr(error))
            if self._compiler is None:
                self._wanted.pop(0)

    def _start(self, shape: Shape) -> "subprocess.Popen[bytes]":
        self._folder.mkdir(parents=True, exist_ok=True)
        log.info("compile.started", package=shape.id, height=shape.height, width=shape.width)
        with ExitStack() as unless_started:
            said = unless_started.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(  # noqa: S603 - our own words
                [*self._command, json.dumps(asdict(shape)), str(self._package(shape))],
                stdin=subprocess.PIPE,  # held open as long as we live
                stdout=said,
                stderr=said,
                process_group=0,  # in a session of its own its low priority would count for nothing
            )
            unless_started.pop_all()
        self._said = said
        return process

    def _end(self, shape: Shape, process: "subprocess.Popen[bytes]") -> None:
        process.communicate()
        assert self._said is not None, "it was started"
        with self._said as said:
            said.seek(0)
            told = said.read().decode(errors="replace").strip()
        if process.returncode == 0:
            log.info("compile.done", package=shape.id)
        else:
            self._fail(shape, f"It ended with {process.returncode}. {told[-_WHY:]}")

    def _fail(self, shape: Shape, why: str) -> None:
        self._failed.add(shape.id)
        log.warning("compile.failed", package=shape.id, why=why)

    def _package(self, shape: Shape) -> Path:
        return self._folder / shape.id
