"""The queues as gateways see them, and what a sweep leaves to them."""

from dataclasses import dataclass

from latentry.ledger.refs import JobRef


@dataclass(frozen=True, slots=True)
class Queue:
    """A model's card, who serves it, and what waits for it."""

    card: str
    workers: int
    waiting: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep leaves to do: queues that need a bell, jobs to forget with their outputs.

    `unreadable`: jobs that it failed, because their records cannot be read.
    """

    silent_queues: tuple[str, ...]
    forgettable: tuple[JobRef, ...]
    unreadable: tuple[JobRef, ...] = ()
