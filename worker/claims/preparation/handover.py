"""Claimed jobs on their way to the step loop, once what they need is read."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import structlog

from latentry.errors import LatentryError, ModelGone, NoAdapterRoom, StorageUnavailable
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Claimed, Inbox
from worker.claims.reporter import Reporter
from worker.process.exit_on_failure import exit_on_failure

log = structlog.get_logger()

READERS: Final = 4  # threads each: one slow read delays neither other ones nor jobs without any
PAUSE_S: Final = 1.0  # after a refusal, or this worker would claim the same jobs again at once


class Handover:
    """Posts jobs that need nothing read at once; a few threads read what the others need.

    `prepare` makes the pictures and adapters that a job names ready, and may raise
    StorageUnavailable or NoAdapterRoom: then the job is handed back, and `on_refused` is called. Or
    ModelGone: it is handed back, and this worker claims no more of its queue.
    """

    def __init__(
        self,
        inbox: Inbox,
        reporter: Reporter,
        prepare: Callable[[ClaimedJob], None],
        on_refused: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox = inbox
        self._reporter = reporter
        self._prepare = prepare
        self._on_refused = on_refused
        self._clock = clock
        self._lock = threading.Lock()
        self._posted = 0
        self._paused_until = 0.0
        self._full_until = 0.0
        self._stopping = threading.Event()
        # Apart: adapters are loaded one job at a time, and those that wait keep their threads.
        self._readers = {
            needs: ThreadPoolExecutor(READERS, thread_name_prefix=needs)
            for needs in ("inputs", "adapters")
        }

    @property
    def posted(self) -> int:
        """Jobs that were ever posted or will be, unless they are handed back: they take room."""
        with self._lock:
            return self._posted

    @property
    def is_paused(self) -> bool:
        """Whether storage has just refused something."""
        return self._clock() < self._paused_until

    @property
    def is_full(self) -> bool:
        """Whether there was no room for an adapter just now: none is claimed that needs loading."""
        return self._clock() < self._full_until

    def take(self, jobs: Iterable[ClaimedJob]) -> None:
        """From the claiming thread. Those that need nothing go first."""
        for job in sorted(jobs, key=lambda job: job.reads_files):
            self._count(1)
            if job.reads_files:
                needs = "adapters" if job.has_adapters else "inputs"
                self._readers[needs].submit(exit_on_failure(partial(self._read, job)))
            else:
                self._try(job)

    def stop(self) -> None:
        """Wait for what is being read, and hand back what is not."""
        self._stopping.set()
        for readers in self._readers.values():
            readers.shutdown()

    def _read(self, job: ClaimedJob) -> None:
        if self._stopping.is_set() or self.is_paused:
            self._hand_back(job)
        else:
            self._try(job)

    def _try(self, job: ClaimedJob) -> None:
        try:
            self._post(job)
        except StorageUnavailable as error:
            self._paused_until = self._clock() + PAUSE_S
            self._refuse(job, error)
        except NoAdapterRoom as error:
            self._full_until = self._clock() + PAUSE_S
            self._refuse(job, error)
        except ModelGone:
            self._hand_back(job)

    def _refuse(self, job: ClaimedJob, error: LatentryError) -> None:
        log.warning("claim.deferred", code=error.code, why=str(error))
        self._hand_back(job)
        self._on_refused()

    def _post(self, job: ClaimedJob) -> None:
        job.checkpoints = self._reporter.checkpoints.load(job.lease)
        self._prepare(job)
        if job in self._reporter.leases:  # or it was lost meanwhile
            self._inbox.post(Claimed(job))
        else:
            self._count(-1)

    def _hand_back(self, job: ClaimedJob) -> None:
        self._count(-1)
        self._reporter.hand_back(job)

    def _count(self, number: int) -> None:
        with self._lock:
            self._posted += number
