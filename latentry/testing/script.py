"""What a test says will happen: to the next jobs, and to the next calls."""

from collections.abc import Iterator
from dataclasses import dataclass

from latentry import errors
from latentry.contracts import JobError, JobStatus, JobWarning
from latentry.errors import LatentryError


@dataclass(frozen=True, slots=True)
class JobScript:
    """How a job goes. `polls`: how many reads find it unfinished before it ends."""

    polls: int = 0
    ends: JobStatus = JobStatus.SUCCEEDED
    error: JobError | None = None
    warnings: tuple[JobWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call is refused: by a problem, or by a connection that is lost (no `status`)."""

    status: int = 0
    code: str = ""
    retry_after_s: int | None = None
    operation: str | None = None

    def concerns(self, operation: str) -> bool:
        """Whether it is meant for calls of this operation."""
        return self.operation in (None, operation)


def message_of(code: str) -> str:
    """What the service says with this code, or a sentence where it has none."""
    for kind in _kinds(LatentryError):
        if kind.code == code and kind.__module__.startswith(errors.__name__):
            return kind().message
    return f"The fake service was told to say {code}."


def _kinds(base: type[LatentryError]) -> Iterator[type[LatentryError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)
