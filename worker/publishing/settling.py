"""Lists stored pictures in the ledger, and settles jobs whose images have all ended."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from latentry.contracts import StoredOutput
from latentry.errors import LeaseLost, LedgerUnavailable, StorageUnavailable
from latentry.ledger import Command, Ledger, commands
from latentry.storage import Storage
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.claims.inbox import Inbox, JobEnded
from worker.metrics import Metrics

log = structlog.get_logger()

RETRY_S: Final = 0.5
MAX_IMAGES: Final = 32  # of one round trip


@dataclass(frozen=True, slots=True, eq=False)
class EndedImage:
    """An image that has ended, or its output of this name, with a picture in storage or without."""

    job: ClaimedJob
    index: int
    entry: StoredOutput | None = None
    name: str = ""

    @property
    def is_listed_alone(self) -> bool:
        """Whether its picture is listed before its job is settled."""
        is_only = self.job.lease.record.request.pictures == 1 and not self.name
        return self.entry is not None and not is_only


@dataclass(frozen=True, slots=True, eq=False)
class _Ending:
    """What the ledger is told of an image; `outcome`: of its job, if it was the last."""

    image: EndedImage
    outcome: Outcome | None
    commands: Sequence[Command[None]]


class Settling:
    """Images that end while the ledger is busy with others go to it together.

    A job's only picture is listed as the job is settled. When a job has ended, JobEnded is posted
    to the step loop. `stopping`: what is not heard by then never will be. `on_frames_done` is
    called when all of a job has ended but its clip.
    """

    def __init__(
        self,
        ledger: Ledger,
        storage: Storage,
        metrics: Metrics,
        inbox: Inbox,
        stopping: threading.Event,
        on_frames_done: Callable[[ClaimedJob], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._storage = storage
        self._metrics = metrics
        self._inbox = inbox
        self._stopping = stopping
        self._on_frames_done = on_frames_done
        self._waiting: deque[EndedImage] = deque()
        self._sending = threading.Lock()

    def add(self, image: EndedImage) -> None:
        """Tell the ledger, in this thread or in the one that is about it already."""
        self._waiting.append(image)
        unlisted: list[StoredOutput] = []
        # Read again after the lock is free: an image may have come when its holder saw none.
        while self._waiting and self._sending.acquire(blocking=False):
            try:
                unlisted += self._send(self._taken())
            finally:
                self._sending.release()
        for entry in unlisted:  # last: what waits for the ledger must not wait for storage
            self._delete(entry)

    def _delete(self, entry: StoredOutput) -> None:
        try:
            self._storage.delete(entry.key)  # no answer will ever name it
        except StorageUnavailable:  # retention finds it in the end
            log.warning("storage.unavailable", key=entry.key)

    def _taken(self) -> list[EndedImage]:
        return [self._waiting.popleft() for _ in range(min(MAX_IMAGES, len(self._waiting)))]

    def _send(self, images: Sequence[EndedImage]) -> list[StoredOutput]:
        """Tell the ledger of these images; the pictures that it did not list."""
        try:
            endings = [_ending(image) for image in images]
            answers = self._insist([command for one in endings for command in one.commands])
            unlisted = []
            for one in endings:
                is_listed = self._take_in(one, [answers.pop(0) for _ in one.commands])
                entry = one.image.entry
                unlisted += [] if is_listed or entry is None or not entry.key else [entry]
            return unlisted
        except LedgerUnavailable:  # and the worker stops: the jobs are to be handed back
            log.warning("ledger.unavailable", doing="publish", images=len(images))
        except Exception:  # not settled: their leases expire and another attempt is made
            log.exception("publish.failed", jobs=[image.job.lease.ref.id for image in images])
            self._inbox.post(*(JobEnded(image.job) for image in images))
        return []

    def _insist(self, told: Sequence[Command[None]]) -> list[Exception | None]:
        """Repeat until it is answered: an outage of the ledger must not cost a finished picture."""
        while True:
            try:
                answers = self._ledger.run_all(told)
            except LedgerUnavailable:
                answers = [LedgerUnavailable()]
            if not any(isinstance(answer, LedgerUnavailable) for answer in answers):
                return answers
            if self._stopping.wait(RETRY_S):
                raise LedgerUnavailable

    def _take_in(self, ending: _Ending, answers: Sequence[Exception | None]) -> bool:
        """The ledger has answered; whether it lists the image's picture."""
        job, outcome = ending.image.job, ending.outcome
        failed = next((answer for answer in answers if answer is not None), None)
        if failed is not None or outcome is not None:
            self._inbox.post(JobEnded(job))
        if isinstance(failed, LeaseLost):
            log.info("job.lost", job=job.lease.ref.id, fence=job.lease.fence)
            return ending.image.is_listed_alone and answers[0] is None
        if failed is not None:  # not settled: the lease expires and another attempt is made
            log.error("publish.failed", job=job.lease.ref.id, exc_info=failed)
        elif outcome is not None:
            self._metrics.settled(outcome)
            log.info(
                "job.settled",
                job=job.lease.ref.id,
                status=outcome.status.value,
                code=outcome.error.code if outcome.error else None,
            )
        elif job.begins_clip():
            self._on_frames_done(job)
        return True


def _ending(image: EndedImage) -> _Ending:
    job, told = image.job, []
    if image.entry is not None and image.is_listed_alone:
        told.append(commands.add_output(job.lease, image.entry))
    outcome = job.close(image.index, image.entry, name=image.name)
    if outcome is not None:
        outputs = job.outputs.values()
        told.append(
            commands.settle(job.lease, outcome.status, outcome.error, outputs, job.warnings)
        )
    return _Ending(image, outcome, told)
