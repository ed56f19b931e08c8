"""Callers of a service, each with a client of its own: as many at a time, or as they arrive."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from queue import SimpleQueue
from typing import Final

from latentry.cli.bench.report import Outcome
from latentry.cli.drawing.asked import Asked
from latentry.client import Client
from latentry.contracts import Job, JobStatus
from latentry.errors import LatentryError

Connect = Callable[[], Client]
NOBODY_FREE: Final = "nobody_free"
"""The error of a job that was due when all callers were busy, until no more jobs came."""


class Load:
    """Jobs that callers submit and wait for, from its beginning until it is stopped.

    connect: makes a caller's client. asked: what is submitted, in turn.
    """

    def __init__(self, connect: Connect, asked: Sequence[Asked]) -> None:
        self.outcomes: list[Outcome] = []
        self.callers = 0
        self._connect, self._asked = connect, cycle(asked)
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._due = SimpleQueue[float | None]()
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._jobs: set[str] = set()
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def closed(self, callers: int) -> None:
        """A closed loop: each of so many callers submits its next job when the last has ended."""
        for _ in range(callers):
            self._start(self._again)

    def arriving(self, rate: float, most: int) -> None:
        """An open loop: jobs are due at random times, `rate` a second (Poisson).

        Each goes to a caller who is free, or a new one; with `most` callers it waits, and that
        counts.
        """
        self._start(lambda _: self._arrive(rate, most), is_caller=False)

    def stop(self) -> None:
        """From now on no further job is submitted."""
        self._stopped.set()
        for _ in self._threads:
            self._due.put(None)

    def join(self, within_s: float) -> bool:
        """Wait so many seconds for the jobs under way; whether all have ended."""
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def cancel(self) -> None:
        """Cancel the jobs under way."""
        with self._connect() as client:
            for job_id in list(self._jobs):
                with suppress(LatentryError):
                    client.cancel(job_id)

    def _start(self, run: Callable[[Client], None], *, is_caller: bool = True) -> None:
        def work() -> None:
            with self._connect() as client:
                run(client)

        self.callers += is_caller
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _again(self, client: Client) -> None:
        while not self._stopped.is_set():
            self._draw(client, time.monotonic())

    def _arrive(self, rate: float, most: int) -> None:
        due, gaps = time.monotonic(), _gaps(rate)
        while True:
            due += next(gaps)
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            with self._lock:
                needs_caller = not self._idle and self.callers < most
                self._idle -= bool(self._idle)
            self._due.put(due)
            if needs_caller:
                self._start(self._serve)

    def _serve(self, client: Client) -> None:
        while (due := self._due.get()) is not None:
            if self._stopped.is_set():
                self._end(due, error=NOBODY_FREE)
                continue
            self._draw(client, due)
            with self._lock:
                self._idle += 1

    def _draw(self, client: Client, due: float) -> None:
        with self._lock:
            asked = next(self._asked)
        job: Job | None = None
        try:
            job = asked.submit(client)
            self._jobs.add(job.id)
            job = client.wait(job)
            is_done = job.status is JobStatus.SUCCEEDED
            error = "" if is_done else job.error.code if job.error else job.status.value
        except LatentryError as failure:
            error = failure.code
        finally:
            if job is not None:
                self._jobs.discard(job.id)
        self._end(due, job, error)

    def _end(self, due: float, job: Job | None = None, error: str = "") -> None:
        now = time.monotonic()
        queue_s = None if job is None or job.queue_ms is None else job.queue_ms / 1000
        images = len(job.images) if job is not None else 0
        self.outcomes.append(Outcome(now - self._began, now - due, queue_s, images, error))


def _gaps(rate: float) -> Iterator[float]:
    while True:
        yield random.expovariate(rate)
