"""Checkpoints of unfinished images on their way to the ledger, and back from it."""

import threading
from collections.abc import Callable, Iterable

import structlog

from latentry.errors import LeaseLost, LedgerUnavailable
from latentry.ledger import Lease, Ledger, commands
from worker.claims.claimed_job import ClaimedJob
from worker.engine.loop import Saved

log = structlog.get_logger()


class Checkpoints:
    """The latest checkpoint of each image is kept, within a budget for the whole ledger.

    `between` is called before each is sent: many of them over a slow network take longer than a
    lease lasts.
    """

    def __init__(self, ledger: Ledger, *, budget_bytes: int, between: Callable[[], None]) -> None:
        self._ledger = ledger
        self._budget_bytes = budget_bytes
        self._between = between
        self._saved: dict[tuple[str, int], tuple[ClaimedJob, Saved]] = {}
        self._is_full = False
        self._lock = threading.Lock()
        self._flushing = threading.Lock()

    @property
    def are_kept(self) -> bool:
        """Whether there is a budget for checkpoints at all."""
        return self._budget_bytes > 0

    def save(self, job: ClaimedJob, images: Iterable[Saved]) -> None:
        """Keep the checkpoints of a job's images; the next `flush` sends them."""
        with self._lock:
            self._saved.update({(job.id, one.index): (job, one) for one in images})

    def forget(self, job: ClaimedJob) -> None:
        """Send nothing more of this job."""
        with self._lock:
            self._saved = {key: one for key, one in self._saved.items() if key[0] != job.id}

    def flush(self) -> None:
        """Send what was saved, from the caller's thread. If the ledger is not reached, drop it."""
        with self._flushing:  # one flush at a time, so that an older checkpoint never comes last
            with self._lock:
                saved, self._saved = self._saved, {}
            for job, one in saved.values():
                try:
                    self._between()
                    self._send(job, one)
                except LeaseLost:  # the next renewal posts it to the step loop
                    log.info("checkpoint.lease_lost", job=job.lease.ref.id)
                except LedgerUnavailable as error:  # not reached, or full
                    log.warning("ledger.unavailable", doing="checkpoint", why=str(error))
                    return

    def load(self, lease: Lease) -> dict[int, bytes]:
        """The checkpoints of the job's images that an earlier worker sent, by index."""
        if lease.record.claims == 1:  # no worker had it before
            return {}
        try:
            return self._ledger.run(commands.list_checkpoints(lease))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="resume", job=lease.ref.id)
            return {}

    def _send(self, job: ClaimedJob, one: Saved) -> None:
        command = commands.save_checkpoint(
            job.lease, one.index, one.checkpoint, budget_bytes=self._budget_bytes
        )
        was_full, self._is_full = self._is_full, not self._ledger.run(command)
        if self._is_full and not was_full:
            log.warning("checkpoint.budget_spent", budget_bytes=self._budget_bytes)
