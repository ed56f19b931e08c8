"""The last steps of a job, on threads of their own: pictures to storage, then to the ledger."""

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
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.claims.inbox import Inbox, JobEnded
from worker.metrics import Metrics
from worker.publishing.encoding import encode
from worker.publishing.picture import Picture

log = structlog.get_logger()

THREADS = 2
RETRY_S = 0.5
# A storage that takes nothing for this long fails jobs; until then pictures wait in memory.
PATIENCE_S = 60.0
STOP_S = 2.0  # what uploads get when the worker stops


class Publisher:
    """Encode, store, list, settle, in this order: what the ledger names exists in storage.

    A job's only picture is listed as the job is settled. When a job has ended, JobEnded is posted
    to the step loop.
    """

    def __init__(self, ledger: Ledger, storage: Storage, metrics: Metrics, inbox: Inbox) -> None:
        self._ledger = ledger
        self._storage = storage
        self._metrics = metrics
        self._inbox = inbox
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="publisher")
        self._stopping = Event()
        self._pictures: set[Future[None]] = set()
        self._ends: set[Future[None]] = set()

    @property
    def pending(self) -> int:
        """How many pictures are not in storage yet. Their pixels are in memory."""
        return len(self._pictures)

    def submit(self, picture: Picture) -> None:
        """Publish one picture; with its last one the job ends."""
        give_up_at = monotonic() + PATIENCE_S
        self._begin(self._pictures, picture.job, self._publish, picture, give_up_at)

    def close(self, job: ClaimedJob, index: int) -> None:
        """One image of the job ended without a picture."""
        self._begin(self._ends, job, self._close, job, index)

    def stop(self) -> None:
        """Finish what was submitted, unless ledger or storage take longer than two seconds.

        What has not ended by then never will: its job is to be handed back.
        """
        self._stopping.set()
        wait([*self._pictures, *self._ends], STOP_S)
        self._pool.shutdown(wait=False)

    def _begin(
        self, futures: set[Future[None]], job: ClaimedJob, work: Callable[..., None], *args: object
    ) -> None:
        def end(future: Future[None]) -> None:
            futures.discard(future)
            self._inbox.wake()  # there may be room for another job now

        future = self._pool.submit(self._guarded, job, work, *args)
        futures.add(future)
        future.add_done_callback(end)

    def _guarded(self, job: ClaimedJob, work: Callable[..., None], *args: object) -> None:
        try:
            work(*args)
        except LeaseLost:
            log.info("job.lost", job=job.lease.ref.id, fence=job.lease.fence)
            self._inbox.post(JobEnded(job))
        except LedgerUnavailable:  # and the worker stops: the job is to be handed back
            log.warning("ledger.unavailable", doing="publish", job=job.lease.ref.id)
        except Exception:
            # Not settled: the lease expires and another attempt is made.
            log.exception("publish.failed", job=job.lease.ref.id)
            self._inbox.post(JobEnded(job))

    def _publish(self, picture: Picture, give_up_at: float) -> None:
        """All steps of one picture."""
        job = picture.job
        try:
            with self._metrics.stage("publish"):
                file = encode(picture.pixels, picture.request, picture.seed, picture.profile)
                is_stored = self._store(picture, file, give_up_at)
        except LatentryError as error:
            job.end_early(Outcome(JobStatus.FAILED, error))
            self._close(job, picture.index)
            return
        if is_stored:
            self._list(picture)

    def _store(self, picture: Picture, file: bytes, give_up_at: float) -> bool:
        """Try until storage takes the file; False if the worker stops first.

        Storage itself tries for about ten seconds. A repeat is harmless: the same picture goes to
        the same key. Raises StorageUnavailable.
        """
        while True:
            try:
                self._storage.put(picture.key, file)
                return True
            except StorageUnavailable:
                log.warning(
                    "storage.unavailable", job=picture.job.lease.ref.id, index=picture.index
                )
                if monotonic() >= give_up_at:
                    raise
                # Spread out: a storage that recovers must not get all retries at once.
                if self._stopping.wait(RETRY_S * random.uniform(0.5, 2)):  # noqa: S311
                    return False  # the next worker of this job draws it again

    def _list(self, picture: Picture) -> None:
        """List a stored picture, and settle its job if it is the last."""
        job, entry, is_listed = picture.job, picture.listed(), False
        try:
            if picture.request.n > 1:  # the only one is listed with the job's end
                self._insist(commands.add_output(job.lease, entry))
                is_listed = True
            self._close(job, picture.index, entry)
        except LeaseLost:
            if not is_listed:
                self._storage.delete(picture.key)  # no answer will ever name it
            raise

    def _close(self, job: ClaimedJob, index: int, entry: StoredOutput | None = None) -> None:
        """One image has ended; settle the job if it was the last."""
        outcome = job.close(index, entry)
        if outcome is None:
            return
        if job.warnings:
            self._insist(commands.warn(job.lease, job.warnings))
        pictures = job.pictures.values()
        self._insist(commands.settle(job.lease, outcome.status, outcome.error, pictures))
        self._inbox.post(JobEnded(job))
        self._metrics.settled(outcome)
        log.info(
            "job.settled",
            job=job.lease.ref.id,
            status=outcome.status.value,
            code=outcome.error.code if outcome.error else None,
        )

    def _insist(self, command: Command[None]) -> None:
        """Repeat until it is answered: an outage of the ledger must not cost a finished picture."""
        while True:
            try:
                return self._ledger.run(command)
            except LedgerUnavailable:
                if self._stopping.wait(RETRY_S):
                    raise
