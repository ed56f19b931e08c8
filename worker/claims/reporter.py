"""The thread that reports to the ledger: heartbeat, leases, progress and checkpoints."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog

from latentry.contracts import Adapter, AnyCard
from latentry.errors import LedgerUnavailable
from latentry.ledger import Ledger
from worker.claims.catalogue.heartbeat import Heartbeat
from worker.claims.checkpoints import Checkpoints
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox
from worker.claims.leases import Leases
from worker.claims.progress import ProgressReports
from worker.process.exit_on_failure import critical_thread

log = structlog.get_logger()

PROGRESS_S: Final = 0.2  # five a second is what an eye can follow


class Reporter:
    """Drives `leases`, `heartbeat`, `progress` and `checkpoints`, so that the step loop never
    waits for the ledger.
    """

    def __init__(
        self,
        ledger: Ledger,
        inbox: Inbox,
        worker: str,
        cards: Sequence[AnyCard],
        *,
        lease_s: float,
        heartbeat_s: float,
        checkpoint_bytes: int = 0,
        failed: Callable[[], Collection[str]] = tuple,
        adapters: Callable[[], tuple[Adapter, ...]] = tuple,
        held: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.leases = Leases(ledger, inbox, lease_s=lease_s)
        self.heartbeat = Heartbeat(
            ledger, worker, cards, every_s=heartbeat_s, failed=failed, adapters=adapters, held=held
        )
        self.progress = ProgressReports(ledger, inbox)
        self.checkpoints = Checkpoints(
            ledger, budget_bytes=checkpoint_bytes, between=self._beat_if_due
        )
        self._heartbeat_s = heartbeat_s
        self._beat_at = 0.0
        self._stopping = threading.Event()
        self._thread = critical_thread("reporter", self._run)

    def start(self) -> None:
        """From here on the worker counts as alive."""
        self._thread.start()

    def stop(self) -> None:
        """Report nothing more, and sign off."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.heartbeat.sign_off()

    def forget(self, job: ClaimedJob) -> None:
        """Report nothing more of this job: it has ended, or another worker has it."""
        self.leases.forget(job)
        self.progress.forget(job)
        self.checkpoints.forget(job)

    def hand_back(self, job: ClaimedJob) -> None:
        """Put an unfinished job back into its queue, and report nothing more of it."""
        self.forget(job)
        self.leases.release(job)

    def beat_soon(self) -> None:
        """Send the next heartbeat now: what is served has changed. From any thread."""
        self._beat_at = 0.0

    def report(self) -> None:
        """Send everything that is due, from the caller's thread."""
        try:
            self.progress.send()
            self.checkpoints.flush()
            self._beat_if_due()
            self.heartbeat.say_held()
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", doing="heartbeat", why=str(error))

    def _run(self) -> None:
        while not self._stopping.wait(PROGRESS_S):
            self.report()

    def _beat_if_due(self) -> None:
        if time.monotonic() >= self._beat_at:
            self.heartbeat.beat()
            self.leases.renew()
            self._beat_at = time.monotonic() + self._heartbeat_s
