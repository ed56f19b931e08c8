"""Processes that tests have left behind."""

import ctypes
import os
import signal
import subprocess
import sys
from typing import Final

from tests.latentry.serve.processes import ends

_PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)
# Python's own, which ends with us.
_ALLOWED: Final = "multiprocessing.resource_tracker"


def adopt() -> None:
    """Become the parent of all descendants that lose theirs (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def survivors(within_s: float = 10.0) -> list[str]:
    """The command lines of children that do not end in time; they are killed."""
    columns = ["-o", "pid=", "-o", "stat=", "-o", "args="]
    with subprocess.Popen(
        ["ps", "-ww", *columns, "--ppid", str(os.getpid())], stdout=subprocess.PIPE, text=True
    ) as ps:
        assert ps.stdout
        rows = [line.split(None, 2) for line in ps.stdout]
    left = [
        (int(pid), command)
        for pid, stat, command in rows
        if int(pid) != ps.pid and not stat.startswith("Z") and _ALLOWED not in command
    ]
    living = [(pid, command) for pid, command in left if not ends(pid, within_s)]
    for pid, _ in living:
        os.kill(pid, signal.SIGKILL)
    return [command for _, command in living]
