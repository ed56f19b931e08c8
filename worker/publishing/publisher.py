"""The last stretch of a job: pictures to storage, then the ledger, on threads of their own."""

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from time import monotonic

import structlog

from latentry.contracts import JobStatus, StoredOutput
from latentry.errors import LatentryError, LeaseLost, LedgerUnavailable, StorageUnavailable
from latentry.ledger import Command, Ledger, commands
from latentry.storage import Storage
from worker.claims.claimed_job import ClaimedJob, Verdict
from worker.engine.loop import Pixels
from worker.metrics import Metrics
from worker.publishing.encoding import publish

log = structlog.get_logger()

THREADS = 2
RETRY_S = 0.5
# A storage that takes nothing for so long fails jobs; until then their pictures wait in memory.
PATIENCE_S = 60.0
STOP_S = 2.0  # what uploads get when the worker stops


class Publisher:
    """Upload first, list second, settle last: what the ledger names exists in storage.

    A job's only picture is listed as it is settled.
    """

    def __init__(
        self,
        ledger: Ledger,
        storage: Storage,
        metrics: Metrics,
        on_end: Callable[[ClaimedJob], None],
    ) -> None:
        self._ledger = ledger
        self._storage = storage
        self._metrics = metrics
        self._on_end = on_end
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="publisher")
        self._ending = Event()
        self._pictures: set[Future[None]] = set()
        self._ends: set[Future[None]] = set()

    @property
    def pending(self) -> int:
        """Pictures that wait for storage. Their pixels are held in memory."""
        return len(self._pictures)

    def submit(
        self, job: ClaimedJob, index: int, pixels: Pixels, profile: str | None = None
    ) -> None:
        """Publish one picture; the job ends with its last."""
        give_up_at = monotonic() + PATIENCE_S
        self._begin(self._pictures, self._publish, job, index, pixels, profile, give_up_at)

    def close(self, job: ClaimedJob, index: int) -> None:
        """One image of the job ended without a picture."""
        self._begin(self._ends, self._close, job, index)

    def stop(self) -> None:
        """Finish what was submitted, unless ledger or storage take too long.

        What has not ended by then never will: its lease is to be given back.
        """
        self._ending.set()
        wait([*self._pictures, *self._ends], STOP_S)
        self._pool.shutdown(wait=False)

    def _begin(
        self, place: set[Future[None]], step: Callable[..., None], job: ClaimedJob, *args: object
    ) -> None:
        future = self._pool.submit(self._guarded, step, job, *args)
        place.add(future)
        future.add_done_callback(place.discard)

    def _guarded(self, step: Callable[..., None], job: ClaimedJob, *args: object) -> None:
        try:
            step(job, *args)
        except LeaseLost:
            log.info("job.lost", job=job.lease.ref.id, fence=job.lease.fence)
            self._on_end(job)
        except LedgerUnavailable:  # and we stop: the lease is to be given back
            log.warning("ledger.unavailable", doing="publish", job=job.lease.ref.id)
        except Exception:
            # Not settled: the lease runs out and another attempt is made.
            log.exception("publish.failed", job=job.lease.ref.id)
            self._on_end(job)

    def _publish(
        self, job: ClaimedJob, index: int, pixels: Pixels, profile: str | None, give_up_at: float
    ) -> None:
        try:
            image = self._store(job, index, pixels, profile, give_up_at)
        except LatentryError as error:
            job.decide(Verdict(JobStatus.FAILED, error))
            self._close(job, index)
            return
        if image is None:  # whoever takes the job up again draws it
            return
        is_listed = False
        try:
            if job.lease.record.request.n > 1:  # the only one is listed with the job's end
                self._insist(commands.add_output(job.lease, image))
                is_listed = True
            self._close(job, index, image)
        except LeaseLost:
            if not is_listed:
                self._storage.delete(image.key)  # nobody will ever be shown it
            raise

    def _store(
        self, job: ClaimedJob, index: int, pixels: Pixels, profile: str | None, give_up_at: float
    ) -> StoredOutput | None:
        """Try until storage takes it; None if we stop first. Raises StorageUnavailable."""
        ref, request = job.lease.ref, job.lease.record.request
        while True:
            try:
                with self._metrics.stage("publish"):
                    return publish(
                        self._storage,
                        pixels,
                        request,
                        tenant=ref.tenant,
                        job_id=ref.id,
                        fence=job.lease.fence,
                        index=index,
                        seed=request.seed + index,
                        profile=profile,
                    )
            except StorageUnavailable:
                log.warning("storage.unavailable", job=ref.id, index=index)
                if monotonic() >= give_up_at:
                    raise
                # Not all at once: a store that comes back must not be knocked over again.
                if self._ending.wait(RETRY_S * random.uniform(0.5, 2)):  # noqa: S311
                    return None

    def _close(self, job: ClaimedJob, index: int, picture: StoredOutput | None = None) -> None:
        ended = job.close(index, picture)
        if ended is None:
            return
        if job.warnings:
            self._insist(commands.warn(job.lease, job.warnings))
        pictures = job.pictures.values()
        self._insist(commands.settle(job.lease, ended.status, ended.error, pictures))
        self._on_end(job)
        self._metrics.ended(ended)
        log.info(
            "job.ended",
            job=job.lease.ref.id,
            status=ended.status.value,
            code=ended.error.code if ended.error else None,
        )

    def _insist(self, command: Command[None]) -> None:
        """Say it until it is heard: an outage of the ledger must not cost a finished picture."""
        while True:
            try:
                return self._ledger.run(command)
            except LedgerUnavailable:
                if self._ending.wait(RETRY_S):
                    raise
