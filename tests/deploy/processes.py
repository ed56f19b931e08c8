"""Start what a container would start, and wait until it answers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(
    command: list[str], *, env: dict[str, str], cwd: Path
) -> Iterator[subprocess.Popen[str]]:
    """The process, its output in `cwd`/log.txt; ended with SIGTERM as an engine ends it."""
    with (cwd / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, env=os.environ | env, cwd=cwd, stdout=log, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def until(answers: Callable[[], bool], process: subprocess.Popen[str], *, within_s: float) -> None:
    """Ask until the answer is yes. The process must live meanwhile."""
    deadline = time.monotonic() + within_s
    while not answers():
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < deadline, f"no answer within {within_s} s"
        time.sleep(0.05)  # a poll of a foreign process, which says nothing when it is ready


def tool(name: str) -> str:
    """A program that a wheel of the [dev] extra installed next to python."""
    return str(Path(sys.executable).with_name(name))
