"""A worker's right to run a job."""

from dataclasses import dataclass, field

from latentry.errors import LatentryError
from latentry.ledger.jobs import JobRecord
from latentry.ledger.refs import JobRef


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to run a job. The fence, a number, makes every earlier lease invalid."""

    ref: JobRef
    fence: int
    record: JobRecord = field(compare=False)


class UnreadableRecord(LatentryError):
    """This version cannot read the ledger's record of this job."""

    code = "unreadable_record"

    def __init__(self, ref: str = "", fence: int = 0) -> None:
        super().__init__()
        self.ref = ref  # as text: the record may say anything
        self.fence = fence
