"""Run one command that cannot outlive its supervisor: `tether.py NAME GRACE_S COMMAND…`.

Standard input is a pipe that the supervisor holds. A byte asks for a stop: the command gets
SIGTERM, and after GRACE_S seconds SIGKILL. When the pipe ends, the supervisor is dead (SIGKILL
included): the command gets SIGTERM, and after ORPHANED_GRACE_S everything is killed. If the tether
itself is killed, Linux kills the command.

Tether and command share a process group, which the supervisor kills when the tether has ended. The
command's output goes to standard output with its name before each line. Standard library only, to
start in milliseconds.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import IO

# All are gone ten seconds after their supervisor, so that the next one finds the ports free.
ORPHANED_GRACE_S = 5.0
# How long to wait for the last lines of a command after its end.
LAST_LINES_S = 1.0
# Lines that come within this time are passed on together: to wake up for each of a busy command's
# would take processor time from it.
TOGETHER_S = 0.02
PIPE_BYTES = 64 * 1024
_PR_SET_PDEATHSIG = 1  # prctl(2)


def run(name: str, grace_s: float, command: list[str]) -> int:
    """Run the command to its end; returns its exit code, or 128 + the signal that ended it."""
    if os.getpgrp() != os.getpid():
        os.setsid()  # killing our group must kill nobody else
    _signal_at_parents_end(signal.SIGCONT)  # were we stopped, we would not notice that it is dead
    tether = os.getpid()

    def bind() -> None:  # in the command's process, which has no other thread
        _signal_at_parents_end(signal.SIGKILL)
        if os.getppid() != tether:
            os._exit(1)

    child = subprocess.Popen(  # noqa: S603 - the supervisor's own command line
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,  # the supervisor's lock on its data folder is passed on
        preexec_fn=bind,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: child.terminate())
    orphaned = threading.Event()
    threading.Thread(target=_release, args=(child, orphaned, grace_s), daemon=True).start()
    relay = threading.Thread(target=_relay, args=(child.stdout, name), daemon=True)
    relay.start()
    code = child.wait()
    relay.join(LAST_LINES_S)
    if orphaned.is_set():
        _kill_group()  # what the command left running: no supervisor does it
    return code if code >= 0 else 128 - code


def _release(child: subprocess.Popen[bytes], orphaned: threading.Event, grace_s: float) -> None:
    if os.read(0, 1):
        child.terminate()
        if not select.select([0], [], [], grace_s)[0]:
            child.kill()
            os.read(0, 1)
    orphaned.set()
    child.terminate()
    time.sleep(ORPHANED_GRACE_S)
    _kill_group()


def _relay(output: IO[bytes], name: str) -> None:
    start, rest = f"{name:<8}| ".encode(), bytearray()
    while piece := os.read(output.fileno(), PIPE_BYTES):
        ended, newline, begun = piece.rpartition(b"\n")
        if newline:
            lines, rest = (rest + ended).split(b"\n"), bytearray()
            _write(b"".join(start + line + b"\n" for line in lines))
        rest += begun
        # Pages of a pipe are not always full, so one that holds half may take no more.
        if len(piece) < PIPE_BYTES // 2:  # else the command may be waiting for us
            time.sleep(TOGETHER_S)
    if rest:
        _write(start + rest + b"\n")


def _write(lines: bytes) -> None:
    # The reader may be gone; the command must not block on that.
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()


def _kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


def _signal_at_parents_end(number: int) -> None:
    """Linux sends this process a signal when its parent ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
