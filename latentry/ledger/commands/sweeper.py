"""What a sweeper asks of the ledger."""

from collections.abc import Sequence
from typing import Any, Final

from latentry.ledger.connection import Command
from latentry.ledger.records import JobRef, Swept

POISON_CRASHES: Final = 3
SWEEP_BATCH: Final = 100


def sweep(*, lease_s: float) -> Command[Swept]:
    """End what is overdue: leases, deadlines, dead workers. To be asked about once a second."""

    def read(answer: Sequence[Any]) -> Swept:
        bells, *jobs = answer
        return Swept(tuple(bells), *(tuple(map(JobRef.parse, refs)) for refs in jobs))

    lease_ms = int(lease_s * 1000)
    return Command("sweep", (lease_ms, lease_ms // 2, POISON_CRASHES, SWEEP_BATCH), read)
