"""The commands that the gateway's upkeep runs."""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from latentry.ledger.connection import Command
from latentry.ledger.jobs import JobEnd
from latentry.ledger.refs import JobRef

log = structlog.get_logger()

POISON_CRASHES: Final = 3
SWEEP_BATCH: Final = 100
ENDS_BATCH: Final = 1_000
_ANSWER_KEPT_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep leaves to do: queues that need a bell, jobs to forget with their outputs.

    `unreadable`: jobs that it failed, because their records cannot be read.
    """

    silent_queues: tuple[str, ...]
    forgettable: tuple[JobRef, ...]
    unreadable: tuple[JobRef, ...] = ()


def sweep(*, lease_s: float) -> Command[Swept]:
    """End what is overdue: leases, deadlines, dead workers. To be run about once a second."""

    def read(answer: Sequence[Any]) -> Swept:
        bells, *jobs = answer
        return Swept(tuple(bells), *(tuple(map(JobRef.parse, refs)) for refs in jobs))

    lease_ms = int(lease_s * 1000)
    return Command("upkeep/sweep", (lease_ms, lease_ms // 2, POISON_CRASHES, SWEEP_BATCH), read)


def take_ends(taker: str) -> Command[list[JobEnd]]:
    """Ended jobs that no gateway has taken yet, the oldest first, at most `ENDS_BATCH`.

    This very command, run again by the same taker, returns the same ends: a lost reply loses none.
    """
    args = (taker, secrets.token_hex(8), ENDS_BATCH, _ANSWER_KEPT_MS)
    return Command("upkeep/take_ends", args, lambda answer: list(_readable_ends(answer)))


def _readable_ends(answer: Iterable[str]) -> Iterator[JobEnd]:
    for text in answer:
        try:
            yield JobEnd.read(json.loads(text))
        except (KeyError, ValueError):  # another version's; it must not hide all others
            log.error("end.unreadable")
