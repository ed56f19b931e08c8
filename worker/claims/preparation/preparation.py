"""All that a job names, in order."""

from worker.claims.claimed_job import ClaimedJob
from worker.claims.inputs import Inputs
from worker.claims.preparation.adapters import Adapters


class Preparation:
    """Pictures first, then adapters, which take memory."""

    def __init__(self, inputs: Inputs, adapters: Adapters) -> None:
        self._inputs = inputs
        self._adapters = adapters

    def prepare(self, job: ClaimedJob) -> None:
        """Give a job what it names, or end it early.

        Raises StorageUnavailable, NoAdapterRoom or ModelGone.
        """
        self._inputs.prepare(job)
        if not job.ends_early:
            self._adapters.prepare(job)
