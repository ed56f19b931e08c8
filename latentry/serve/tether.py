"""Run one command that cannot outlive its supervisor: `tether.py NAME GRACE_S COMMAND…`.

Standard input is a pipe that the supervisor holds. When it closes, because the supervisor closes it
or dies (SIGKILL included), the command gets SIGTERM, and after GRACE_S seconds its process group
gets SIGKILL. So a stop and a crash take the same path, on Linux and on macOS. The command's output
goes to standard output with its name before each line. Standard library only, to start in
milliseconds.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import IO

# How long to wait for the last lines of a command after its end.
LAST_LINES_S = 1.0


def run(name: str, grace_s: float, command: list[str]) -> int:
    """Run the command to its end; returns its exit code, or 128 + the signal that ended it."""
    # In a group of its own it does not get the terminal's Ctrl-C: the supervisor stops it in order.
    child = subprocess.Popen(  # noqa: S603 - the supervisor's own command line
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    gone = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_release, args=(child, gone, grace_s), daemon=True).start()
    relay = threading.Thread(target=_relay, args=(child.stdout, name), daemon=True)
    relay.start()
    code = child.wait()
    gone.set()
    _kill_group(child.pid)  # children that the command left running
    relay.join(LAST_LINES_S)
    return code if code >= 0 else 128 - code


def _release(child: subprocess.Popen[bytes], gone: threading.Event, grace_s: float) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    child.terminate()
    if not gone.wait(grace_s):
        _kill_group(child.pid)


def _relay(lines: IO[bytes], name: str) -> None:
    for line in lines:
        # The reader may be gone; the command must not block on that.
        with contextlib.suppress(OSError):
            sys.stdout.buffer.write(f"{name:<8}| ".encode() + line.rstrip(b"\n") + b"\n")
            sys.stdout.buffer.flush()


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
