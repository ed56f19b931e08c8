"""Steps and previews on their way to the ledger; of each only the latest is sent."""

import threading
from collections.abc import Sequence

import structlog

from latentry.errors import LedgerUnavailable
from latentry.ledger import Lease, Ledger, commands
from worker.claims.claimed_job import ClaimedJob
from worker.claims.thumbnail import thumbnail
from worker.engine.loop import Preview

log = structlog.get_logger()


class ProgressReports:
    """Collects from the step loop, sends from the reporting thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._steps: dict[str, tuple[Lease, int, int]] = {}
        self._previews: dict[tuple[str, int], tuple[Lease, Preview]] = {}
        self._lock = threading.Lock()

    def step(self, job: ClaimedJob, step: int, steps: int) -> None:
        """The job has made `step` of its `steps`."""
        with self._lock:
            self._steps[job.id] = (job.lease, step, steps)

    def preview(self, job: ClaimedJob, preview: Preview) -> None:
        """How far one image of the job is."""
        with self._lock:
            self._previews[job.id, preview.index] = (job.lease, preview)

    def forget(self, job: ClaimedJob) -> None:
        """Send nothing more about this job."""
        with self._lock:
            self._steps.pop(job.id, None)
            self._previews = {key: one for key, one in self._previews.items() if key[0] != job.id}

    def send(self) -> None:
        """The latest steps in one message, then the latest previews. Raises LedgerUnavailable."""
        with self._lock:
            steps, self._steps = self._steps, {}
        if steps:
            self._ledger.run(commands.report_progress(steps.values()))
        with self._lock:
            previews, self._previews = self._previews, {}
        for lease, one in previews.values():
            jpeg = thumbnail(one.pixels)
            self._ledger.run(commands.publish_preview(lease, one.index, one.step, jpeg))

    def mark_begun(self, leases: Sequence[Lease]) -> None:
        """Count these jobs as begun, at once and from the caller's thread.

        If the worker dies in their first step, they are suspects like all others in the engine.
        """
        begun = [
            (lease, lease.record.reached, lease.record.request.total_steps) for lease in leases
        ]
        try:
            self._ledger.run(commands.report_progress(begun))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="begin", jobs=len(begun))
