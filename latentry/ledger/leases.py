"""A worker's right to run a job."""

from dataclasses import dataclass, field

from latentry.errors import LatentryError
from latentry.ledger.jobs import JobRecord
from latentry.ledger.refs import JobRef


@dataclass(frozen=True, slots=True)
class Lease:
    """One worker's claim on one job. The fence number makes any earlier claim worthless."""

    ref: JobRef
    fence: int
    record: JobRecord = field(compare=False)


class UnreadableRecord(LatentryError):
    """The ledger's record of this job makes no sense to this version."""

    code = "unreadable_record"

    def __init__(self, ref: str = "", fence: int = 0) -> None:
        super().__init__()
        self.ref = ref  # as text: nothing else of it is sure
        self.fence = fence
