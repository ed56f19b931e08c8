"""Ends the process when work of another thread than the step loop's hangs, as its parent would."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from worker.process.exit_on_failure import end_process

log = structlog.get_logger()


class HangGuard:
    """Around work that says when it goes on; silent for `within_s` seconds, it hangs.

    No thread can be ended from outside: the process is, and its parent starts another.
    """

    def __init__(
        self, what: str, within_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what: Final = what
        self._within_s: Final = within_s
        self._clock = clock
        self._moved_at = clock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"{what} guard", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()

    def move(self) -> None:
        """The work goes on. From the thread that does it."""
        self._moved_at = self._clock()

    def _watch(self) -> None:
        while (rest_s := self._moved_at + self._within_s - self._clock()) > 0:
            if self._done.wait(rest_s):
                return
        log.critical("worker.hung", what=self._what, within_s=self._within_s)
        end_process()
