"""The adapters that jobs name, loaded before the jobs reach the step loop."""

from pathlib import Path

import structlog

from latentry.contracts import JobStatus
from latentry.errors import AdapterGone, EngineError, JobFailed, ModelGone, NoAdapterRoom
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.claims.preparation.adapter_files import AdapterFiles
from worker.engine.loop.backend import Shelf

log = structlog.get_logger()


class Adapters:
    """Loads them before the step loop has the job, so that it waits for none. From any thread."""

    def __init__(self, files: AdapterFiles, shelf: Shelf) -> None:
        self._files = files
        self._shelf = shelf

    def prepare(self, job: ClaimedJob) -> None:
        """Give a job its adapters, or end it early. Raises NoAdapterRoom or ModelGone."""
        request = job.lease.record.request
        if not request.adapters:
            return
        try:
            files = {sha256: self._path(sha256) for sha256 in request.adapters}
            job.adapters = self._shelf.load(request.model, files)
        except (NoAdapterRoom, ModelGone):  # another worker may have it
            raise
        except JobFailed as error:
            job.end_early(Outcome(JobStatus.FAILED, error))
        except Exception:  # one odd file must not end the worker, and all its jobs with it
            log.exception("adapters.failed", job=job.lease.ref.id)
            why = EngineError("The adapters could not be loaded.")
            job.end_early(Outcome(JobStatus.FAILED, why))

    def _path(self, sha256: str) -> Path:
        path = self._files.find(sha256)
        if path is None:
            raise AdapterGone
        return path
