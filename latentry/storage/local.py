"""Writes files of a local directory: whole or not at all, and so that a power failure leaves them.

obstore could write them too, but each one goes through two threads of its own, and is to be opened
again to be flushed.
"""

import os
import secrets
from contextlib import suppress
from typing import IO, Final

_TRIES: Final = 10


def write(root: str, key: str, data: bytes) -> None:
    """When this returns, the file is on the disk, unless somebody deleted it. Raises OSError."""
    path = os.path.join(root, key)
    # By such a name obstore, which lists and deletes, knows what is no file yet.
    staged = f"{path}#{secrets.randbits(63)}"
    try:
        with _opened(staged) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(staged)
        raise
    with suppress(FileNotFoundError):  # what was deleted in the meantime needs no flushing
        for _ in key.split("/"):  # each folder has the name of the one before
            path = os.path.dirname(path)
            _flush(path)


def _opened(path: str) -> IO[bytes]:
    """A new file. Folders are made, again where an empty one is removed just then."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return open(path, "xb")
        with suppress(FileNotFoundError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
    raise FileNotFoundError(path)


def _flush(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
