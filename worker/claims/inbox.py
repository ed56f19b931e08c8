"""Messages of the worker's other threads to the step loop, in one queue."""

import queue
import threading
from dataclasses import dataclass
from typing import TypeAlias

from latentry.contracts import ModelCard
from latentry.ledger import JobRef
from worker.claims.claimed_job import ClaimedJob


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job was claimed; its lease is being renewed. From the claiming thread."""

    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A client canceled the job, or its time is over. From the listening or reporting thread."""

    ref: JobRef


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another worker has the job, or it no longer exists. From the reporting thread."""

    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class YieldWanted:
    """The job is to be put aside for an urgent one of its tenant. From the claiming thread."""

    job: ClaimedJob
    urgent: JobRef


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A job that yielded is back in its queue. From the claiming thread.

    The urgent job was posted before, so that no other job takes the rows that come free now.
    """

    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The job is settled, or its lease was lost meanwhile. From the publisher."""

    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class Watched:
    """Somebody looks at the job, and wants a preview after every so many steps. From the reporting
    thread, once for each preview.
    """

    job: ClaimedJob
    every: int


@dataclass(frozen=True, slots=True)
class ModelChanged:
    """A model's files are there, or other ones; without `card` and `blueprint` they are gone.

    `blueprint` is what the backend made of them. From the thread that looks at them.
    """

    model: str
    card: ModelCard | None = None
    blueprint: object = None


Message: TypeAlias = (
    Claimed | StopAsked | LeaseLost | YieldWanted | Exchanged | JobEnded | Watched | ModelChanged
)


class Inbox:
    """Messages in the order in which they were posted: many threads post, the step loop reads."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._arrived = threading.Event()

    def post(self, *messages: Message) -> None:
        """Append messages, and end the step loop's wait."""
        for message in messages:
            self._messages.put(message)
        self._arrived.set()

    def wake(self) -> None:
        """End the step loop's wait without a message."""
        self._arrived.set()

    def wait(self, timeout_s: float) -> bool:
        """Block until something is posted or `timeout_s` is over; whether anything was."""
        has_arrived = self._arrived.wait(timeout_s)
        self._arrived.clear()  # before the next `take`, which finds whatever was posted until then
        return has_arrived

    def take(self) -> list[Message]:
        """All that was posted so far, the oldest first."""
        taken: list[Message] = []
        while True:
            try:
                taken.append(self._messages.get_nowait())
            except queue.Empty:
                return taken
