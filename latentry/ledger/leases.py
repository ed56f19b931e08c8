"""A worker's right to run a job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from latentry.errors import Unavailable
from latentry.ledger.jobs import JobRecord
from latentry.ledger.refs import JobRef


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to run a job. The fence, a number, makes every earlier lease invalid."""

    ref: JobRef
    fence: int
    record: JobRecord = field(compare=False)


class Claims(list[Lease]):
    """The leases that a claim got; `waiting`: how many jobs were left in its queues.

    `left_ms`: if some were left to other workers, in how many milliseconds this one may have them.
    """

    def __init__(self, leases: Iterable[Lease] = (), waiting: int = 0, left_ms: int = 0) -> None:
        super().__init__(leases)
        self.waiting = waiting
        self.left_ms = left_ms


@dataclass(frozen=True, slots=True)
class Reported:
    """The answer to reported steps.

    `held`: how many of the leases still hold. `watched`: the places of jobs whose next preview
    somebody wants to see, and after every how many steps.
    """

    held: int
    watched: tuple[tuple[int, int], ...] = ()

    @classmethod
    def read(cls, answer: Sequence[int]) -> Self:
        """From what `report_progress` returns."""
        return cls(answer[0], tuple(zip(answer[1::2], answer[2::2], strict=True)))


class UnreadableRecord(Unavailable):
    """This version cannot read the ledger's record of this job."""

    code = "unreadable_record"

    def __init__(self, ref: str = "", fence: int = 0) -> None:
        super().__init__()
        self.ref = ref  # as text: the record may say anything
        self.fence = fence
