"""The thread of life between the worker and the parent that watches it.

Both hold one end of a socket pair. The worker sends promises: "you hear from me again within so
many seconds". A parent that waits longer kills it; a worker whose parent is gone ends itself.
"""

import os
import socket
import threading
from typing import Protocol

EXIT_ORPHANED = 71


class Keepalive(Protocol):
    """What the step loop needs: to say that it is alive, and until when to believe it."""

    def extend(self, seconds: float) -> None:
        """The next sign of life follows within `seconds`; 0 means whenever there is work."""


class NoKeepalive:
    """Nobody is watching."""

    def extend(self, seconds: float) -> None:
        """Say nothing."""


class SocketKeepalive:
    """The worker's end. `fd` was inherited from the parent."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        threading.Thread(target=self._end_with_parent, name="orphan-guard", daemon=True).start()

    def extend(self, seconds: float) -> None:
        """One short line; the parent reads faster than we step."""
        self._socket.sendall(f"{seconds:.3f}\n".encode())

    def _end_with_parent(self) -> None:
        self._socket.recv(1)  # the parent never writes: this returns when it is gone
        os._exit(EXIT_ORPHANED)
