"""The parent process: starts the worker, restarts it when it dies, kills it when it hangs.

It imports nothing heavy, so it is up at once, and no failure of the worker's libraries reaches it;
and until the worker is started only the standard library, because everybody waits for that.
"""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from worker.process.runtime import environment

EXIT_UNUSABLE = 2
BOOT_S = 300.0  # importing torch and loading a large model from a slow disk
LISTEN_S = 0.5
STOP_S = 15.0  # one step, the uploads in flight, and Celery's own shutdown
RESTART_MIN_S, RESTART_MAX_S = 0.5, 30.0
HEALTHY_S = 60.0  # a worker that ran this long can start, so the next is not delayed


@dataclass(slots=True)
class _Child:
    process: "subprocess.Popen[bytes]"
    keepalive: socket.socket
    started: float
    deadline: float | None  # when the next message is due; None while it may be silent


class Watchdog:
    """Runs `command + [fd]` and restarts it until SIGTERM or SIGINT; `fd`: the keepalive socket.

    `max_rss_bytes`: above it the child has to start anew; 0 sets no bound. It may be set later.
    """

    def __init__(
        self, command: Sequence[str], *, stop_s: float = STOP_S, max_rss_bytes: int = 0
    ) -> None:
        self._command = list(command)
        self._stop_s = stop_s
        self.max_rss_bytes = max_rss_bytes
        self._first: _Child | None = None
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._stopping = False

    def start(self) -> None:
        """Start the child already, which `run` will watch. A signal is remembered until then."""
        self._heed_signals()
        self._first = self._start()

    def run(self) -> int:
        """Watch until SIGTERM or SIGINT; the status to exit with."""
        self._heed_signals()
        pause = RESTART_MIN_S
        while True:
            child, self._first = self._first or self._start(), None
            status = self._watch(child)
            if self._stopping:
                # Before it serves it has nothing to hand back, and no handler: the signal ends it.
                return 0 if status in (0, -signal.SIGTERM) else 1
            if status == EXIT_UNUSABLE:
                return status  # it has logged why; another try would fail the same way
            pause = RESTART_MIN_S if time.monotonic() - child.started > HEALTHY_S else pause
            _log().warning("worker.died", status=status, restart_in_s=pause)
            if self._wait(pause):
                return 1
            pause = min(pause * 2, RESTART_MAX_S)

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)

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
        fd = theirs.fileno()
        os.set_inheritable(fd, True)
        # Its own session: Ctrl-C in a terminal reaches only the parent, which sends SIGTERM.
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*self._command, str(fd)],
            close_fds=False,  # `latentry serve` knows by a lock that we pass on when all have ended
            start_new_session=True,
            env=environment(os.environ),
        )
        theirs.close()
        now = time.monotonic()
        return _Child(process, ours, now, now + BOOT_S)

    def _watch(self, child: _Child) -> int:
        stop_by: float | None = None
        while child.process.poll() is None:
            self._listen(child)
            now = time.monotonic()
            if stop_by is None and (self._stopping or self._is_too_large(child)):
                stop_by = now + self._stop_s
                child.process.terminate()
            if child.deadline is not None and now > child.deadline:
                _log().error("worker.hung", overdue_s=round(now - child.deadline, 1))
                child.process.kill()
                child.deadline = None  # logged once; it takes a moment to exit
            elif stop_by is not None and now > stop_by:
                _log().error("worker.stop_timed_out", waited_s=self._stop_s)
                child.process.kill()
        child.keepalive.close()
        return child.process.wait()

    def _is_too_large(self, child: _Child) -> bool:
        """Whether it takes more memory than it may: then it hands its jobs back and restarts."""
        rss = rss_bytes(child.process.pid) if self.max_rss_bytes else 0
        if rss <= self.max_rss_bytes:
            return False
        _log().warning("worker.memory_exceeded", rss_bytes=rss, max_rss_bytes=self.max_rss_bytes)
        return True

    def _listen(self, child: _Child) -> None:
        sockets = [child.keepalive] if self._stopping else [child.keepalive, self._wake]
        ready, _, _ = select.select(sockets, [], [], LISTEN_S)
        if child.keepalive not in ready:
            return
        received = child.keepalive.recv(4096)
        if not received:  # it closed its end, so poll() ends the loop soon
            self._wait(0.05)
            return
        silent_s = float(received.split(b"\n")[-2] if received.endswith(b"\n") else b"0")
        child.deadline = time.monotonic() + silent_s if silent_s else None


def _log() -> Any:
    import structlog  # here, not above: the worker does not wait for it

    return structlog.get_logger()


def rss_bytes(pid: int) -> int:
    """Resident memory of a process; 0 without /proc, or if the process has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
