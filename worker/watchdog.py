"""The parent process: starts the worker, restarts it when it dies, kills it when it hangs.

It imports nothing heavy, so it is there at once and cannot be taken down by what it watches.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

import structlog

log = structlog.get_logger()

EXIT_UNUSABLE = 2
BOOT_S = 300.0  # importing torch and loading a large model from a slow disk
STOP_S = 15.0  # one step, the uploads in flight, and Celery's own goodbye
RESTART_MIN_S, RESTART_MAX_S = 0.5, 30.0
HEALTHY_S = 60.0  # a worker that lived this long did not die of its configuration


@dataclass(slots=True)
class _Child:
    process: "subprocess.Popen[bytes]"
    line: socket.socket
    born: float
    deadline: float | None  # when the last promise runs out; None while it may stay silent


class Watchdog:
    """Runs `command + [fd]` over and over until told to stop."""

    def __init__(self, command: Sequence[str], *, stop_s: float = STOP_S) -> None:
        self._command = list(command)
        self._stop_s = stop_s
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._stopping = False

    def run(self) -> int:
        """Watch until SIGTERM or SIGINT; the exit status to end with."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        pause = RESTART_MIN_S
        while True:
            child = self._start()
            status = self._watch(child)
            if self._stopping:
                return 0 if status == 0 else 1
            if status == EXIT_UNUSABLE:
                return status  # it has said why; another try would say the same
            pause = RESTART_MIN_S if time.monotonic() - child.born > HEALTHY_S else pause
            log.warning("worker.died", status=status, restart_in_s=pause)
            if self._wait(pause):
                return 1
            pause = min(pause * 2, RESTART_MAX_S)

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._waker.send(b".")

    def _wait(self, seconds: float) -> bool:
        """Sleep unless or until a stop is asked for; whether it was."""
        self._wake.settimeout(seconds)
        try:
            self._wake.recv(1)
        except TimeoutError:
            return self._stopping
        return True

    def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        ours.settimeout(0.5)
        fd = theirs.fileno()
        # Its own session: Ctrl-C in a terminal reaches us, and we stop it in good order.
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*self._command, str(fd)], pass_fds=[fd], start_new_session=True
        )
        theirs.close()
        now = time.monotonic()
        return _Child(process, ours, now, now + BOOT_S)

    def _watch(self, child: _Child) -> int:
        stop_by: float | None = None
        while child.process.poll() is None:
            self._listen(child)
            now = time.monotonic()
            if self._stopping and stop_by is None:
                stop_by = now + self._stop_s
                child.process.terminate()
            if child.deadline is not None and now > child.deadline:
                log.error("worker.hung", silent_s=round(now - child.deadline, 1))
                child.process.kill()
            elif stop_by is not None and now > stop_by:
                log.error("worker.would_not_stop", waited_s=self._stop_s)
                child.process.kill()
        child.line.close()
        return child.process.wait()

    def _listen(self, child: _Child) -> None:
        try:
            heard = child.line.recv(4096)
        except TimeoutError:
            return
        if not heard:  # it closed its end; poll() will tell the rest
            self._wait(0.05)
            return
        promised = float(heard.split(b"\n")[-2] if heard.endswith(b"\n") else b"0")
        child.deadline = time.monotonic() + promised if promised else None
