"""Many jobs with one call: what to ask, how long, and what comes of each."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from latentry import contracts
from latentry.client.api_calls import AnyJob
from latentry.client.fields import Fields, request_of
from latentry.client.flows import bound_s
from latentry.client.pictures import images_read
from latentry.client.results import Job
from latentry.contracts import GenerationRequest
from latentry.errors import InvalidRequest, LatentryError

CONCURRENCY: Final = 16
"""Calls at once: more are slower, as the service shares its workers anyway."""

Asked: TypeAlias = str | Mapping[str, Any]
"""A prompt, or the fields of a request by name, `prompt` among them."""
Result: TypeAlias = Job | LatentryError
"""The succeeded job, or why there is none."""
Submitted: TypeAlias = Job | LatentryError
"""The accepted job, or why there is none."""
Done: TypeAlias = Callable[[int, Result], None]
"""Called with the number of a request, from 0, and its result, in the order of their ends."""


def requests_of(asked: Iterable[Asked], common: Fields) -> list[GenerationRequest]:
    """All requests. Raises InvalidRequest, which names the first that is invalid."""
    if isinstance(asked, str | Mapping):  # which would be drawn letter by letter
        raise InvalidRequest("Requests must be a list; of one, [prompt], or call generate.")
    return [_request_of(number, one, common) for number, one in enumerate(asked)]


async def requests_read(asked: Iterable[Asked], common: Fields) -> tuple[Iterable[Asked], Fields]:
    """The same requests, with images of jobs read by who awaits them."""
    given = asked if isinstance(asked, str | Mapping) else list(asked)
    return await images_read(given), await images_read(common)


def ids_of(jobs: Iterable[AnyJob]) -> list[str]:
    """Jobs by their ids. Raises InvalidRequest for a job in no list, or what is no job in one."""
    if isinstance(jobs, str | contracts.Job):
        raise InvalidRequest("Jobs must be a list; of one, [job], or call wait.")
    return [_id_of(number, job) for number, job in enumerate(jobs)]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a wait that several calls share."""

    at: float

    @classmethod
    def after(cls, timeout_s: float | None) -> "Deadline":
        """In so many seconds; None: never. Raises InvalidRequest."""
        return cls(time.monotonic() + bound_s(timeout_s))

    @property
    def left_s(self) -> float | None:
        """Seconds until then; None: for ever."""
        return None if self.at == math.inf else max(0.0, self.at - time.monotonic())


def _id_of(number: int, job: AnyJob) -> str:
    if isinstance(job, str):
        return job
    if isinstance(job, contracts.Job):
        return job.id
    kind = type(job).__name__  # such as the error that `submit_all` has in a job's place
    raise InvalidRequest(f"Job {number}: It must be a job or its id, not {kind}.")


def _request_of(number: int, asked: Asked, common: Fields) -> GenerationRequest:
    if not isinstance(asked, str | Mapping):
        kind = type(asked).__name__
        raise InvalidRequest(f"Request {number}: It must be a prompt or a dict, not {kind}.")
    own = {"prompt": asked} if isinstance(asked, str) else dict(asked)
    fields = {**common, **own}
    prompt = fields.pop("prompt", None)
    try:
        return request_of(cast(str | None, prompt), cast(Fields, fields))
    except InvalidRequest as error:
        raise InvalidRequest(f"Request {number}: {error.message}", fields=error.fields) from error
