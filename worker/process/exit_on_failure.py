"""Ends the process when a thread fails that the worker cannot do without.

Otherwise its other threads would go on renewing leases of jobs that no thread steps.
"""

import os
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()

EXIT_BROKEN = 70  # EX_SOFTWARE: the parent starts a new process, with a fresh device context


def exit_on_failure(work: Callable[[], None]) -> Callable[[], None]:
    """The same work; if it raises, the process exits and its parent starts another."""

    def run() -> None:
        try:
            work()
        except BaseException:
            log.exception("worker.crashed", thread=threading.current_thread().name)
            end_process()
            raise

    return run


def end_process() -> None:
    """At once, whatever its other threads do."""
    os._exit(EXIT_BROKEN)


def critical_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """A thread, not yet started, whose failure ends the process."""
    return threading.Thread(target=exit_on_failure(work), name=name, daemon=True)
