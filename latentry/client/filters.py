"""Which jobs a client lists."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

from latentry.contracts import JobKind, JobStatus


class Filters(TypedDict, total=False):
    """What the jobs must be like. since, until: when they were created, the latter excluded.

    Times without a zone are local ones, as Python's are. metadata: labels, all of which they have.
    """

    status: JobStatus | str | Iterable[JobStatus | str]
    model: str
    kind: JobKind | str
    metadata: Mapping[str, str]
    since: datetime
    until: datetime


def parameters(filters: Filters) -> dict[str, str | list[str]]:
    """The query that asks for them."""
    found: dict[str, str | list[str]] = {}
    for name, value in filters.items():
        if isinstance(value, datetime):
            found[name] = (value if value.tzinfo else value.astimezone()).isoformat()
        elif isinstance(value, Mapping):
            found[name] = [f"{key}={text}" for key, text in value.items()]
        elif isinstance(value, str):
            found[name] = str(value)
        elif isinstance(value, Iterable):
            found[name] = [str(one) for one in value]
    return found
