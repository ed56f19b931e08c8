"""What the gateway's upkeep asks of the ledger."""

import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final

from latentry.ledger.connection import Command
from latentry.ledger.jobs import JobEnd
from latentry.ledger.queues import Swept
from latentry.ledger.refs import JobRef

POISON_CRASHES: Final = 3
SWEEP_BATCH: Final = 100
ENDS_BATCH: Final = 1_000
_ANSWER_KEPT_MS: Final = 3_600_000


def sweep(*, lease_s: float) -> Command[Swept]:
    """End what is overdue: leases, deadlines, dead workers. To be asked about once a second."""

    def read(answer: Sequence[Any]) -> Swept:
        bells, *jobs = answer
        return Swept(tuple(bells), *(tuple(map(JobRef.parse, refs)) for refs in jobs))

    lease_ms = int(lease_s * 1000)
    return Command("sweep", (lease_ms, lease_ms // 2, POISON_CRASHES, SWEEP_BATCH), read)


def take_ends(taker: str) -> Command[list[JobEnd]]:
    """Jobs that ended and were given to nobody yet, the oldest first, at most `ENDS_BATCH`.

    This very command, run again by the same taker, answers the same ends: a lost reply loses none.
    """

    def read(answer: Iterable[str]) -> list[JobEnd]:
        return [JobEnd.read(json.loads(text)) for text in answer]

    args = (taker, secrets.token_hex(8), ENDS_BATCH, _ANSWER_KEPT_MS)
    return Command("take_ends", args, read)
