"""The process that compiles UNets beside the step loop."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Final

from worker.engine.unet.shape import Shape

# With the lowest priority: steps come first.
COMMAND: Final = ("nice", "-n", "19", sys.executable, "-m", "worker.engine.unet.compile")
_WHY: Final = 500  # characters of what a compiler that failed has printed


class Compiler:
    """Runs one compilation at a time, in a process that ends with this one."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._printed: IO[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a compilation was started whose result was not taken."""
        return self._process is not None

    @property
    def has_ended(self) -> bool:
        """Whether there is a result to take."""
        return self._process is not None and self._process.poll() is not None

    def start(self, shape: Shape, package: Path) -> None:
        """Begin to compile into this folder. Raises OSError."""
        with ExitStack() as unless_started:
            printed = unless_started.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*self._command, json.dumps(asdict(shape)), str(package)],
                stdin=subprocess.PIPE,  # open for as long as this process lives
                stdout=printed,
                stderr=printed,
                process_group=0,  # in a session of its own its low priority would count for nothing
            )
            unless_started.pop_all()
        self._printed = printed
        threading.Thread(target=_clear_up, args=[self._process], daemon=True).start()

    def result(self) -> str:
        """Wait for the end; why it failed, or nothing if it did not."""
        process, printed = self._process, self._printed
        assert process is not None, "it was started"
        assert printed is not None, "it was started"
        self._process = self._printed = None
        process.communicate()
        with printed:
            printed.seek(0)
            text = printed.read().decode(errors="replace").strip()
        return f"It ended with {process.returncode}. {text[-_WHY:]}" if process.returncode else ""

    def wait(self) -> None:
        """Until a running compilation has ended, if there is one."""
        if self._process is not None:
            self._process.wait()


def _clear_up(process: subprocess.Popen[bytes]) -> None:
    """If the compiler is killed, what it has started, such as g++, ends with it."""
    process.wait()
    with suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError for zombies
        os.killpg(process.pid, signal.SIGKILL)
