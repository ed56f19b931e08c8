"""The last steps of a job, on threads of their own: pictures to storage, then to the ledger."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore, Event
from time import monotonic
from typing import Final, TypeVar

import structlog

from latentry.contracts import JobStatus, StoredOutput
from latentry.cpus import usable_cpus, within_limit
from latentry.errors import LatentryError, StorageUnavailable
from latentry.ledger import Ledger
from latentry.rules.adapters.controls import unstored_controls
from latentry.rules.sequences.frames import CLIP_NAME
from latentry.storage import Storage
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.claims.inbox import Inbox, JobEnded
from worker.metrics import Metrics
from worker.process.hang_guard import HangGuard
from worker.publishing.backlog import Backlog
from worker.publishing.frames import encoded_clip, origin_of_clip
from worker.publishing.judging import Judging
from worker.publishing.picture import Picture, encoded_picture
from worker.publishing.settling import EndedImage, Settling
from worker.publishing.signing import Signing
from worker.publishing.watermarking import watermarked
from worker.safety.judge import Judge

log = structlog.get_logger()

T = TypeVar("T")

# A thread that waits for a bucket costs next to nothing: the bound is the memory of pictures.
UPLOADS: Final = 128
RETRY_S = 0.5
# A storage that takes nothing for this long fails jobs; until then pictures wait in memory.
PATIENCE_S = 60.0
# Between two frames, of which encoders keep some until the end; storage's patience is within it.
CLIP_HUNG_S = 300.0
STOP_S = 2.0  # what uploads get when the worker stops


class Publisher:
    """Judge, encode, sign, store, list, settle: what the ledger names exists in storage.

    As many pictures are encoded at once as this process may use processors, and many more are on
    their way to storage. `budget_bytes`: of memory for pictures that are not stored yet.
    """

    def __init__(
        self,
        ledger: Ledger,
        storage: Storage,
        metrics: Metrics,
        inbox: Inbox,
        *,
        budget_bytes: int,
        signing: Signing | None = None,
        watermarks: bool = False,
        judge: Judge | None = None,
        pool: Executor | None = None,
    ) -> None:
        self._judging = Judging(judge or Judge(), metrics, inbox)
        self._storage = storage
        self._metrics = metrics
        self._inbox = inbox
        self._watermarks = watermarks
        self._signing = signing or Signing(None, metrics)
        self._backlog = Backlog(budget_bytes)
        self._stopping = Event()
        self._settling = Settling(
            ledger, storage, metrics, inbox, self._stopping, on_frames_done=self.add_clip
        )
        self._encoding = BoundedSemaphore(within_limit(len(usable_cpus())))
        self._uploads = pool or ThreadPoolExecutor(UPLOADS, thread_name_prefix="publisher")
        # Of their own: images without a picture do not wait for those that storage does not take.
        self._closes = pool or ThreadPoolExecutor(1, thread_name_prefix="closer")
        # One at a time, which takes long: what an encoder holds is bounded.
        self._clips = pool or ThreadPoolExecutor(1, thread_name_prefix="clips")
        self._begun: set[Future[None]] = set()
        metrics.watch_backlog(lambda: self._backlog.bytes)

    @property
    def has_room(self) -> bool:
        """Whether there is memory for more pictures."""
        return self._backlog.has_room

    @property
    def is_refused(self) -> bool:
        """Whether storage took nothing when it was last tried."""
        return self._backlog.is_refused

    def submit(self, picture: Picture) -> None:
        """Publish one picture, finished or not; with its last one the job ends."""
        self._backlog.add(picture.pixels.nbytes)
        give_up_at = monotonic() + PATIENCE_S
        self._begin(self._uploads, picture.job, self._publish, picture, give_up_at)

    def close(self, job: ClaimedJob, images: Iterable[int]) -> None:
        """Images of the job ended without a picture."""
        for image in images:
            self._begin(self._closes, job, self._settling.add, EndedImage(job, image))

    def add_controls(self, job: ClaimedJob) -> None:
        """Publish what the job's ControlNets see, or close what was not made ready."""
        record = job.lease.record
        for name, number in unstored_controls(record.request, record.outputs).items():
            if number < len(job.controls):
                self.submit(Picture(job, 0, job.controls[number][0], control=name))
            else:
                self._begin(self._closes, job, self._settling.add, EndedImage(job, 0, name=name))

    def add_clip(self, job: ClaimedJob) -> None:
        """Publish the clip of a job whose frames have ended; with it the job ends."""
        if not self._stopping.is_set():  # or it is handed back, and the next worker makes it
            self._begin(self._clips, job, self._publish_clip, job)

    def stop(self) -> None:
        """Finish what was submitted, unless ledger or storage take longer than two seconds.

        What has not ended by then never will: its job is to be handed back.
        """
        self._stopping.set()
        wait([*self._begun], STOP_S)
        for pool in (self._uploads, self._closes, self._clips):
            pool.shutdown(wait=False, cancel_futures=True)

    def _begin(
        self, pool: Executor, job: ClaimedJob, work: Callable[..., None], *args: object
    ) -> None:
        future = pool.submit(self._guarded, job, work, *args)
        self._begun.add(future)
        future.add_done_callback(self._begun.discard)

    def _guarded(self, job: ClaimedJob, work: Callable[..., None], *args: object) -> None:
        try:
            work(*args)
        except Exception:
            # Not settled: the lease expires and another attempt is made.
            log.exception("publish.failed", job=job.lease.ref.id)
            self._inbox.post(JobEnded(job))

    def _publish(self, picture: Picture, give_up_at: float) -> None:
        """All steps of one picture."""
        image = self._end(picture, give_up_at)
        if image is not None:
            self._settling.add(image)

    def _end(self, picture: Picture, give_up_at: float) -> EndedImage | None:
        """Encode and store a picture; None if the worker stops first."""
        job, taken = picture.job, picture.pixels.nbytes
        try:
            if picture.is_caption:
                return EndedImage(job, picture.index, picture.told())
            picture = self._judging.judged(picture)
            if picture.is_blocked:
                return EndedImage(job, picture.index, picture.listed(), picture.name)
            with self._metrics.stage("publish"):
                with self._encoding:
                    marked = watermarked(picture) if self._watermarks else picture
                    entry, file = encoded_picture(marked)
                entry, file = self._signing.finish(job, entry, file, picture.origin)
                self._backlog.add(len(file))
                taken += len(file)
                is_stored = self._store(picture, file, give_up_at)
                return EndedImage(job, picture.index, entry, picture.name) if is_stored else None
        except LatentryError as error:
            job.end_early(Outcome(JobStatus.FAILED, error))
            return EndedImage(job, picture.index, name=picture.name)
        finally:
            if self._backlog.remove(taken):
                self._inbox.wake()

    def _publish_clip(self, job: ClaimedJob) -> None:
        """All steps of a clip; none if the job has failed, or no more once it was canceled."""
        entry: StoredOutput | None = None
        try:
            entry = self._clip(job)
        except _WorkerStops:
            return  # the next worker of this job makes it again
        except _JobEndsEarly:
            pass
        except LatentryError as error:
            job.end_early(Outcome(JobStatus.FAILED, error))
        self._settling.add(EndedImage(job, 0, entry, CLIP_NAME))

    def _clip(self, job: ClaimedJob) -> StoredOutput:
        def insist(call: Callable[[], T]) -> T:
            guard.move()  # storage has a patience of its own
            if self._stopping.is_set():  # a worker that stops does not wait for many frames
                raise _WorkerStops
            if job.ends_early:  # other jobs' clips wait
                raise _JobEndsEarly
            return self._insist(job, call, monotonic() + PATIENCE_S)

        with self._metrics.stage("clip"), HangGuard("clip", CLIP_HUNG_S) as guard:
            unsigned = encoded_clip(job, lambda key: insist(lambda: self._storage.get(key)))
            entry, file = self._signing.finish(job, *unsigned, origin_of_clip(job))
            self._backlog.add(len(file))
            try:
                insist(lambda: self._storage.put(entry.key, file))
            finally:
                if self._backlog.remove(len(file)):
                    self._inbox.wake()
        return entry

    def _store(self, picture: Picture, file: bytes, give_up_at: float) -> bool:
        """Try until storage takes the file; False if the worker stops first.

        A repeat is harmless: the same picture goes to the same key. Raises StorageUnavailable.
        """
        try:
            self._insist(picture.job, lambda: self._storage.put(picture.key, file), give_up_at)
        except _WorkerStops:
            return False  # the next worker of this job draws it again
        return True

    def _insist(self, job: ClaimedJob, call: Callable[[], T], give_up_at: float) -> T:
        """Try until storage answers. Raises StorageUnavailable or _WorkerStops.

        Storage itself tries for about ten seconds.
        """
        while True:
            try:
                answer = call()
            except StorageUnavailable:
                log.warning("storage.unavailable", job=job.lease.ref.id)
                self._backlog.is_refused = True
                if monotonic() >= give_up_at:
                    raise
                # Spread out: a storage that recovers must not get all retries at once.
                if self._stopping.wait(RETRY_S * random.uniform(0.5, 2)):  # noqa: S311
                    raise _WorkerStops from None
            else:
                if self._backlog.is_refused:
                    self._backlog.is_refused = False
                    self._inbox.wake()
                return answer


class _WorkerStops(Exception):
    """Nothing more is stored."""


class _JobEndsEarly(Exception):
    """No clip is needed."""
