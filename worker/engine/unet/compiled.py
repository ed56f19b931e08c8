"""Compiled UNets: made beside the step loop, kept on disk, used as soon as they are ready."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import torch

from worker.engine.unet.compiler import COMMAND, Compiler
from worker.engine.unet.package import load
from worker.engine.unet.shape import Shape
from worker.engine.unet.slot import CompiledSlot

log = structlog.get_logger()


class CompiledUNets:
    """A folder of packages, and the compiler that makes missing ones, one at a time.

    A size is compiled after `worth_calls` calls, and at most `most` sizes before the next start:
    requests choose the sizes. Until a package exists calls run eagerly. Whatever goes wrong with
    one, it is not tried again before the next start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        compiler: Sequence[str] = COMMAND,
        worth_calls: int = 200,
        most: int = 16,
        poll_s: float = 1.0,
    ) -> None:
        self.compiler = Compiler(compiler)
        self.queue: list[Shape] = []  # the first of them is being compiled
        self.failed: set[str] = set()
        self._folder = folder
        self._worth_calls = worth_calls
        self._left = most
        self._poll_s = poll_s

    def prepare(self, slot: CompiledSlot, unet: Any) -> None:
        """Before each call of a slot: load its package if it exists, or queue its compilation."""
        if not slot.count_call(poll_s=self._poll_s):
            return
        try:
            self._look_for_package(slot, unet)
        except torch.AcceleratorError as error:
            self.give_up(slot, error)
            raise
        except Exception as error:  # a loader raises anything; the calls can do without it
            self.give_up(slot, error)
        self.continue_compiling()

    def give_up(self, slot: CompiledSlot, error: Exception) -> None:
        """Neither use nor make such a package again before the next start.

        One that was proved stays on disk: it may have wanted memory that was not there.
        """
        shape, was_proved = slot.shape, slot.give_up()
        log.warning("compile.unusable", package=shape.id, why=repr(error))
        self.failed.add(shape.id)
        if was_proved:
            return
        try:
            shutil.rmtree(self.package(shape))
        except FileNotFoundError:
            pass
        except OSError as kept:
            log.warning("compile.kept", package=shape.id, why=repr(kept))

    def continue_compiling(self) -> None:
        """Take the result of a compilation that has ended, and start the next one."""
        if self.compiler.has_ended:
            self._take_result(self.queue.pop(0))
        while self.queue and not self.compiler.is_running:
            shape = self.queue[0]
            try:
                if shape.id not in self.failed and not self.package(shape).exists():
                    self._start(shape)
            except Exception as error:  # a folder's, mostly; the calls can do without it
                self._fail(shape, repr(error))
            if not self.compiler.is_running:
                self.queue.pop(0)

    def package(self, shape: Shape) -> Path:
        """The folder of a shape's package, which may not exist so far."""
        return self._folder / shape.id

    def _look_for_package(self, slot: CompiledSlot, unet: Any) -> None:
        shape = slot.shape
        if shape.id in self.failed:
            return
        if self.package(shape).exists():
            slot.load(load(self.package(shape), unet))
        elif slot.calls >= self._worth_calls and self._left and shape not in self.queue:
            self._left -= 1
            self.queue.append(shape)

    def _start(self, shape: Shape) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        log.info("compile.started", package=shape.id, height=shape.height, width=shape.width)
        self.compiler.start(shape, self.package(shape))

    def _take_result(self, shape: Shape) -> None:
        why = self.compiler.result()
        if why:
            self._fail(shape, why)
        else:
            log.info("compile.done", package=shape.id)

    def _fail(self, shape: Shape, why: str) -> None:
        self.failed.add(shape.id)
        log.warning("compile.failed", package=shape.id, why=why)
