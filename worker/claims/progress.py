"""Steps and previews on their way to the ledger; of each only the latest is sent."""

import threading
from collections.abc import Sequence

import structlog

from latentry.errors import LedgerFull, LedgerUnavailable
from latentry.ledger import Lease, Ledger, commands, instances
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox, Watched
from worker.claims.thumbnail import thumbnail
from worker.engine.loop import Preview

log = structlog.get_logger()


class ProgressReports:
    """Collects from the step loop, sends from the reporting thread."""

    def __init__(self, ledger: Ledger, inbox: Inbox) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._steps: dict[str, tuple[ClaimedJob, int, int]] = {}
        self._previews: dict[tuple[str, int], tuple[Lease, Preview]] = {}
        self._lock = threading.Lock()

    def step(self, job: ClaimedJob, step: int, steps: int) -> None:
        """The job has made `step` of its `steps`."""
        with self._lock:
            self._steps[job.id] = (job, step, steps)

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
        """The latest steps in one message, then the latest previews. Raises LedgerUnavailable.

        Jobs that somebody looks at, as the answer says, are posted to the step loop.
        """
        with self._lock:
            steps, self._steps = list(self._steps.values()), {}
        if steps:
            rows = ((job.lease, step, of) for job, step, of in steps)
            for place, every in self._ledger.run(commands.report_progress(rows)).watched:
                if _may_be_seen(job := steps[place][0]):
                    self._inbox.post(Watched(job, every))
        with self._lock:
            previews, self._previews = self._previews, {}
        for lease, one in previews.values():
            self._show(lease, one)

    def _show(self, lease: Lease, one: Preview) -> None:
        facts = lease, one.index, one.step, thumbnail(one.pixels)
        if lease.record.request.preview_interval:
            self._ledger.run(commands.publish_preview(*facts))
            return
        try:
            self._ledger.run(instances.keep_preview(*facts))
        except LedgerFull:
            log.warning("ledger.unavailable", doing="preview", job=lease.ref.id)

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


def _may_be_seen(job: ClaimedJob) -> bool:
    """Not where a rule may withhold the picture, and it has no judge before it is finished."""
    return not any(rule.action.hides for rule in job.lease.record.image_rules)
