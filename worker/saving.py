"""When the images of running jobs are saved, so that a dead worker costs little work."""

from collections.abc import Iterable
from operator import itemgetter
from time import monotonic
from typing import Any, Final

from worker.claims.checkpoints import Checkpoints
from worker.claims.claimed_job import ClaimedJob
from worker.engine.loop import Engine

MAX_IMAGES: Final = 4  # saved at one step boundary: each is a copy that waits for the device


class Saving:
    """Takes checkpoints from the engine. Without a budget for them it does nothing.

    `every_s`: how much work of a job, in seconds, may be lost with its worker.
    """

    def __init__(self, engine: Engine[Any], checkpoints: Checkpoints, *, every_s: float) -> None:
        self._engine = engine
        self._checkpoints = checkpoints
        self._every_s = every_s

    def save_due(self, jobs: Iterable[ClaimedJob]) -> None:
        """Save those that have gone unsaved for too long, the longest first, a few at a time."""
        if not self._checkpoints.are_kept:
            return
        due, images = monotonic() - self._every_s, 0
        unsaved = [(job.unsaved_since, job) for job in jobs if job.unsaved_since]
        for since, job in sorted(unsaved, key=itemgetter(0)):
            if since > due or images >= MAX_IMAGES:
                break
            images += self.save(job)
            job.unsaved_since = None

    def save(self, job: ClaimedJob) -> int:
        """Save a job's images now; how many."""
        if not self._checkpoints.are_kept:
            return 0
        saved = self._engine.save(job.id)
        self._checkpoints.save(job, saved)
        return len(saved)

    def save_all(self, jobs: Iterable[ClaimedJob]) -> None:
        """Save all jobs now and send the checkpoints to the ledger."""
        for job in jobs:
            self.save(job)
        self._checkpoints.flush()
