"""SIGTERM while the worker starts, before it has anything to hand back."""

import os
import signal
from collections.abc import Callable
from types import FrameType


def end_on_sigterm(tidy: Callable[[], None]) -> None:
    """End by the signal at once, but `tidy` before. From the main thread."""

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        tidy()
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)
