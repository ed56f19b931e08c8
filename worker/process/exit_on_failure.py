"""Threads without which a worker is a corpse that still beats its heart."""

import os
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()

EXIT_BROKEN = 70  # EX_SOFTWARE: whatever happened to the device or to us, start afresh


def exit_on_failure(work: Callable[[], None]) -> Callable[[], None]:
    """The same work, but if it breaks, the process ends with it: its parent starts another."""

    def run() -> None:
        try:
            work()
        except BaseException:
            log.exception("worker.broke", thread=threading.current_thread().name)
            os._exit(EXIT_BROKEN)

    return run


def critical_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """A thread, not yet started, that takes the process along if it breaks."""
    return threading.Thread(target=exit_on_failure(work), name=name, daemon=True)
