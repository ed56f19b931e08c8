"""What the kernel does to this process when its parent ends."""

import ctypes
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def signal_at_parents_end(number: signal.Signals) -> None:
    """Linux sends this process a signal when its parent ends, even by SIGKILL; others do not.

    The parent is the thread that started this process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
