"""Which jobs a client lists."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import TypedDict

from latentry.contracts import JobKind, JobStatus
from latentry.errors import InvalidRequest


class Filters(TypedDict, total=False):
    """What the jobs must be like. since, until: when they were created, the latter excluded.

    Times without a zone are local ones, as Python's are; a day is its midnight. metadata: labels,
    all of which they have.
    """

    status: JobStatus | str | Iterable[JobStatus | str]
    model: str
    kind: JobKind | str
    metadata: Mapping[str, str]
    since: datetime | date
    until: datetime | date


def parameters(filters: Filters) -> dict[str, str | list[str]]:
    """The query that asks for them. Raises InvalidRequest for what would choose all jobs."""
    found: dict[str, str | list[str]] = {}
    for name, value in filters.items():
        match value:
            case None:
                continue
            case date():
                at = value if isinstance(value, datetime) else datetime.combine(value, time())
                found[name] = (at if at.tzinfo else _here(at)).isoformat()
            case Mapping():
                found[name] = [f"{key}={text}" for key, text in value.items()]
            case str():
                found[name] = str(value)
            case Iterable() if several := [str(one) for one in value]:
                found[name] = several
            case _:
                why = f"No jobs can be chosen by {value!r}; leave it out to list all."
                raise InvalidRequest(f"{name}: {why}", fields={f"/{name}": why})
    return found


def _here(at: datetime) -> datetime:
    """A local time with its zone; in UTC at the ends of all time, which have no local one."""
    try:
        return at.astimezone()
    except (OverflowError, ValueError):
        return at.replace(tzinfo=UTC)
