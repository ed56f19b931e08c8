"""The last stretch of a job: pictures to storage, then the ledger, on threads of their own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import structlog

from latentry.contracts import JobStatus
from latentry.errors import LatentryError, LeaseLost, LedgerUnavailable
from latentry.jobs import Command, Ledger, commands
from latentry.storage import Storage
from worker.engine import Pixels
from worker.held import HeldJob, Verdict
from worker.metrics import Metrics
from worker.publish import publish

log = structlog.get_logger()

THREADS = 2
RETRY_S = 0.5


class Publisher:
    """Upload first, list second, settle last: what the ledger names exists in storage."""

    def __init__(
        self,
        ledger: Ledger,
        storage: Storage,
        metrics: Metrics,
        on_end: Callable[[HeldJob], None],
    ) -> None:
        self._ledger = ledger
        self._storage = storage
        self._metrics = metrics
        self._on_end = on_end
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="publisher")
        self._ending = Event()
        self._pending = 0
        self._lock = Lock()

    @property
    def pending(self) -> int:
        """Pictures that wait for storage. Their pixels are held in memory."""
        return self._pending

    def submit(self, job: HeldJob, index: int, pixels: Pixels, profile: str | None = None) -> None:
        """Publish one picture; the job ends with its last."""
        self._count(1)
        done = self._pool.submit(self._guarded, self._publish, job, index, pixels, profile)
        done.add_done_callback(lambda _: self._count(-1))

    def close(self, job: HeldJob, index: int) -> None:
        """One image of the job ended without a picture."""
        self._pool.submit(self._guarded, self._close, job, index)

    def stop(self) -> None:
        """Finish what was submitted; give up only on a ledger that does not answer."""
        self._ending.set()
        self._pool.shutdown(wait=True)

    def _count(self, change: int) -> None:
        with self._lock:
            self._pending += change

    def _guarded(self, step: Callable[..., None], job: HeldJob, *args: object) -> None:
        try:
            step(job, *args)
        except LeaseLost:
            log.info("job.lost", job=job.lease.ref.id, fence=job.lease.fence)
            self._on_end(job)
        except Exception:
            # Not settled: the lease runs out and another attempt is made.
            log.exception("publish.failed", job=job.lease.ref.id)
            self._on_end(job)

    def _publish(self, job: HeldJob, index: int, pixels: Pixels, profile: str | None) -> None:
        lease = job.lease
        request = lease.record.request
        try:
            with self._metrics.stage("publish"):
                image = publish(
                    self._storage,
                    pixels,
                    request,
                    tenant=lease.ref.tenant,
                    job_id=lease.ref.id,
                    fence=lease.fence,
                    index=index,
                    seed=request.seed + index,
                    profile=profile,
                )
        except LatentryError as error:
            job.decide(Verdict(JobStatus.FAILED, error))
            self._close(job, index)
            return
        try:
            self._insist(commands.add_image(lease, image))
        except LeaseLost:
            self._storage.delete(image.key)  # nobody will ever be shown it
            raise
        self._close(job, index)

    def _close(self, job: HeldJob, index: int) -> None:
        ended = job.close(index)
        if ended is None:
            return
        if job.warnings:
            self._insist(commands.warn(job.lease, job.warnings))
        self._insist(commands.settle(job.lease, ended.status, ended.error))
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
