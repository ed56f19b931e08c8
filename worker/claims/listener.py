"""The thread that listens to the ledger's signals: new jobs, and jobs that are to stop."""

import threading
from collections.abc import Callable
from typing import Final

from latentry.errors import LedgerUnavailable
from latentry.ledger import Ledger
from latentry.ledger.signals import Signals, Stop
from worker.claims.inbox import Inbox, StopAsked
from worker.process.exit_on_failure import critical_thread

LISTEN_S: Final = 0.25  # `stop` waits for it
RETRY_S: Final = 0.1  # jobs wait meanwhile, and nobody says so


class Listener:
    """Posts `StopAsked` to the step loop, and calls `on_new_job`, from its own thread."""

    def __init__(self, ledger: Ledger, inbox: Inbox, on_new_job: Callable[[], None]) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._on_new_job = on_new_job
        self._stopping = threading.Event()
        self._thread = critical_thread("listener", self._run)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and wait for the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        signals = Signals(self._ledger)
        while not self._stopping.is_set():
            try:
                signal = signals.wait(LISTEN_S)
            except LedgerUnavailable:
                self._stopping.wait(RETRY_S)
                continue
            if isinstance(signal, Stop):
                self._inbox.post(StopAsked(signal.ref))
            elif signal is not None:
                self._on_new_job()
        signals.close()
