"""A call as a value: a method, a path, a body, and how to read the response."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from latentry.contracts import (
    Batch,
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    GenerationRequest,
    InterpolationRequest,
    Job,
    UpscaleRequest,
    VerifyRequest,
)
from latentry.errors import InvalidRequest

# What a job is asked for with.
JobRequest: TypeAlias = (
    GenerationRequest
    | InterpolationRequest
    | UpscaleRequest
    | ClipRequest
    | ControlRequest
    | CaptionRequest
)
# A job, or its id.
AnyJob: TypeAlias = Job | str
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

SOURCE: Final = "latentry.source"
"""The extension of a response that has what its images are read with."""


@dataclass(frozen=True, slots=True)
class ApiCall(Generic[T]):
    """One HTTP call: what to send and how to read the response. `url` is a path or absolute."""

    method: str
    url: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str | int | list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: JobRequest | Batch | VerifyRequest | bytes | None = None
    hold_s: int = 0
    """Seconds that the service may hold the response, as the call requested."""
    within_s: float = math.inf
    """Seconds after which the response is no use any more."""

    @property
    def content(self) -> str | bytes | None:
        """The body: the bytes of a picture, or JSON with the fields that the caller set."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return self.body.model_dump_json(exclude_unset=True, exclude_none=True)


def reader(model: type[M]) -> Callable[[httpx.Response], M]:
    """Reads a response as this model; its images know what to read them with."""
    return lambda response: model.model_validate_json(
        response.content, context=response.extensions.get(SOURCE)
    )


def nothing(_: httpx.Response) -> None:
    """Reads a response that says all by its status."""


def job_path(job: AnyJob, rest: str = "") -> str:
    """The path of a job, or below it."""
    job_id = job if isinstance(job, str) else job.id
    return f"/v1/generations/{quoted(job_id)}{rest}"


def quoted(name: str) -> str:
    """A name as one part of a path. Raises InvalidRequest for one that no path can have."""
    try:
        if name not in ("", ".", ".."):
            return quote(name, safe="")
    except UnicodeEncodeError:  # of a terminal, not of UTF-8
        pass
    raise InvalidRequest(f"{name!r} is not an id.")
