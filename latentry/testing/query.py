"""The query of `GET /v1/generations`, as the gateway takes it; a test compares the two."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from latentry.contracts import Job, JobKind, JobStatus
from latentry.errors import InvalidRequest
from latentry.validation import invalid

_Label = Annotated[str, StringConstraints(max_length=600)]
_REPEATED = ("status", "metadata")


class JobQuery(BaseModel):
    """A page's place and size, and what its jobs must be like; other parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = None
    status: tuple[JobStatus, ...] = Field((), max_length=len(JobStatus))
    model: str | None = Field(None, max_length=256)
    kind: JobKind | None = None
    metadata: tuple[_Label, ...] = Field((), max_length=16)
    since: datetime | None = None
    until: datetime | None = None
    count: bool = False

    @classmethod
    def of(cls, given: httpx.QueryParams) -> Self:
        """The query of a call. Raises InvalidRequest."""
        names = given.keys()
        fields = {
            name: given.get_list(name) if name in _REPEATED else given[name] for name in names
        }
        try:
            query = cls.model_validate(fields)
        except ValidationError as error:
            raise invalid(error, cls) from None
        pairs = [label.partition("=") for label in query.metadata]
        if not all(equals and name for name, equals, _ in pairs) or len(query._labels) < len(pairs):
            why = "Must be key=value, each key once."
            raise InvalidRequest(why, fields={"metadata": why})
        return query

    @property
    def start(self) -> int:
        """How many jobs to leave out. Raises InvalidRequest for what is no cursor of the fake's."""
        if self.cursor is not None and not self.cursor.isdecimal():
            why = "Invalid cursor; use `next_cursor`."
            raise InvalidRequest(why, fields={"cursor": why})
        return int(self.cursor or 0)

    def fits(self, job: Job) -> bool:
        """Whether the job is like that."""
        labels = job.request.metadata
        return (
            (not self.status or job.status in self.status)
            and self.model in (None, job.request.model)
            and self.kind in (None, job.kind)
            and all(labels.get(name) == value for name, value in self._labels.items())
            and (self.since is None or job.created_at >= _with_zone(self.since))
            and (self.until is None or job.created_at < _with_zone(self.until))
        )

    @property
    def _labels(self) -> Mapping[str, str]:
        return {name: value for name, _, value in (one.partition("=") for one in self.metadata)}


def _with_zone(time: datetime) -> datetime:
    """Without a zone it is UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
