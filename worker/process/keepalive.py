"""The deadline that the worker gives its parent, the watchdog, to count as alive until.

Both have one end of a socket pair. The worker sends, in seconds, how long it may stay silent. A
parent that receives nothing for longer kills it; a worker whose parent has ended ends itself.
"""

import os
import signal
import socket
import threading
from typing import Protocol

from worker.process.parent_end import signal_at_parents_end

EXIT_ORPHANED = 71


class Keepalive(Protocol):
    """A deadline that the worker keeps moving ahead."""

    def extend(self, seconds: float) -> None:
        """The next call follows within `seconds`; 0 lifts the deadline until then."""


class NoKeepalive:
    """For a worker without a parent."""

    def extend(self, seconds: float) -> None:
        """Does nothing."""


class SocketKeepalive:
    """The worker's end. `fd` was inherited from the parent."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        signal_at_parents_end(signal.SIGKILL)  # the thread below may be frozen, or C hold the GIL
        threading.Thread(target=self._end_with_parent, name="orphan-guard", daemon=True).start()

    def extend(self, seconds: float) -> None:
        """One short line; the parent reads faster than the worker steps."""
        self._socket.sendall(f"{seconds:.3f}\n".encode())

    def _end_with_parent(self) -> None:
        self._socket.recv(1)  # the parent never writes: this returns when it has ended
        os._exit(EXIT_ORPHANED)
