"""A command that is asked something: bytes in, a few bytes out, within a time."""

import select
import selectors
import subprocess
import time
from collections.abc import Sequence
from typing import Final

MOST_BYTES: Final = 65536  # no signature has so many
_PIECE: Final = 4096


def answer(words: Sequence[str], data: bytes, *, within_s: float) -> tuple[int, bytes]:
    """Its exit status and what it printed; what it complains of is not read.

    Raises OSError, TimeoutError, and ValueError for more than MOST_BYTES: whatever it does, it
    takes no more memory here, and is ended.
    """
    deadline = time.monotonic() + within_s
    with subprocess.Popen(  # noqa: S603 - the operator's own
        words,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            printed = _exchange(process, memoryview(data), deadline)
            return process.wait(max(0.0, deadline - time.monotonic())), printed
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        finally:
            process.kill()


def _exchange(process: "subprocess.Popen[bytes]", data: memoryview, deadline: float) -> bytes:
    """Write and read at once: it may print before it has read all, or read nothing."""
    assert process.stdin, "a pipe"
    assert process.stdout, "a pipe"
    printed = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        while ready.get_map():
            if not (events := ready.select(max(0.0, deadline - time.monotonic()))):
                raise TimeoutError
            for key, _ in events:
                if key.fileobj is process.stdin:
                    data = _written(process, data)
                    if not data:
                        ready.unregister(process.stdin)
                        process.stdin.close()
                elif piece := process.stdout.read(_PIECE):
                    printed += piece
                    if len(printed) > MOST_BYTES:
                        raise ValueError(f"more than {MOST_BYTES} bytes")
                else:
                    ready.unregister(process.stdout)
    return bytes(printed)


def _written(process: "subprocess.Popen[bytes]", data: memoryview) -> memoryview:
    """What is left to write: a pipe that is ready takes PIPE_BUF bytes without waiting."""
    assert process.stdin, "a pipe"
    try:
        return data[process.stdin.write(data[: select.PIPE_BUF]) :]
    except BrokenPipeError:  # it reads no more, and may sign all the same
        return data[:0]
