"""Which of a tenant's jobs a reader wants, and the command that finds them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from latentry.contracts import JobKind, JobStatus
from latentry.ledger.commands.gateway import readable_records
from latentry.ledger.connection import Command
from latentry.ledger.jobs import JobRecord

# Of so many the ledger reads a few fields in some milliseconds.
LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What jobs must be like; what is empty or None counts for nothing.

    since_ms, until_ms: when they were created, the latter excluded. metadata: their labels.
    """

    status: Sequence[JobStatus] = ()
    model: str | None = None
    kind: JobKind | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.given)

    @property
    def given(self) -> dict[str, Any]:
        """What it asks for, ready for JSON."""
        every = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in every.items() if value not in (None, (), [], {})}


@dataclass(frozen=True, slots=True)
class Found:
    """Jobs that match among those that were looked at: some of them, and how many there are.

    looked_at: how many these were. below: the sequence number that the others are below; None if
    there are none.
    """

    records: list[JobRecord | None]
    looked_at: int
    matching: int
    below: int | None


def find_jobs(tenant: str, like: JobFilter, *, below: int | None, limit: int) -> Command[Found]:
    """At most `limit` of a tenant's jobs that match, newest first; None for an unreadable record.

    It looks at LOOKED_AT at most. With a limit of 0 it counts.
    """
    most = LOOKED_AT if like or not limit else limit + 1

    def read(answer: Sequence[Any]) -> Found:
        last, looked_at, matching, *rows = answer
        below = last if last >= 0 else None
        return Found(readable_records(rows), looked_at, matching, below)

    start = "+inf" if below is None else f"({below}"
    args = (tenant, start, limit, most, json.dumps(like.given))
    return Command("gateway/find_jobs", args, read)


def list_jobs(tenant: str, *, below: int | None, limit: int) -> Command[list[JobRecord | None]]:
    """A tenant's jobs below a sequence number, newest first; None for an unreadable record."""
    every = find_jobs(tenant, JobFilter(), below=below, limit=limit)
    return Command(every.script, every.args, lambda answer: every.read(answer).records)
