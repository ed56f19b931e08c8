"""The query of `GET /v1/generations`: which jobs, and which page of them."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from latentry.contracts import JobKind, JobStatus
from latentry.errors import InvalidRequest
from latentry.ledger.commands import JobFilter

_MAX_LABELS: Final = 16
_Label = Annotated[str, StringConstraints(max_length=600)]


class PageQuery(BaseModel):
    """A page's place and size; other parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(20, ge=1, le=100, description="Items per page.")
    cursor: str | None = Field(
        None, description="`next_cursor` of the previous page; omit for the first."
    )


class JobQuery(BaseModel):
    """A page's place and size, and what its jobs must be like; other parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(20, ge=1, le=100, description="Jobs per page.")
    cursor: str | None = Field(
        None, description="`next_cursor` of the previous page; omit for the first."
    )
    status: tuple[JobStatus, ...] = Field(
        (), max_length=len(JobStatus), description="Only jobs in one of these states; repeat it."
    )
    model: str | None = Field(None, max_length=256, description="Only jobs of this model.")
    kind: JobKind | None = Field(None, description="Only jobs of this kind.")
    metadata: tuple[_Label, ...] = Field(
        (),
        max_length=_MAX_LABELS,
        description="`key=value`: only jobs that have this label; repeat it for several.",
    )
    since: datetime | None = Field(
        None, description="Only jobs created then or later: RFC 3339, or Unix time in seconds."
    )
    until: datetime | None = Field(None, description="Only jobs created before.")
    count: bool = Field(False, description="Also count all that match, not only this page's.")

    @property
    def filter(self) -> JobFilter:
        """What the jobs must be like. Raises InvalidRequest for a label without `=`, or twice."""
        labels = [label.partition("=") for label in self.metadata]
        names = {name for name, _, _ in labels}
        if not all(equals and name for name, equals, _ in labels) or len(names) < len(labels):
            why = "Must be key=value, each key once."
            raise InvalidRequest(why, fields={"metadata": why})
        return JobFilter(
            status=self.status,
            model=self.model,
            kind=self.kind,
            since_ms=_unix_ms(self.since),
            until_ms=_unix_ms(self.until),
            metadata={name: value for name, _, value in labels},
        )


def _unix_ms(time: datetime | None) -> int | None:
    """Without a zone it is UTC."""
    if time is None:
        return None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
