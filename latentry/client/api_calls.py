"""The API as values: every call is a method, a path, a body and how to read the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from latentry.contracts import (
    Estimate,
    File,
    GenerationRequest,
    Job,
    JobList,
    ModelList,
    UsageList,
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ApiCall(Generic[T]):
    """One exchange: what to send, and how to read the answer. `url` is a path or absolute."""

    method: str
    url: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: GenerationRequest | bytes | None = None
    hold_s: int = 0
    """How long the service may sit on the answer by our own wish."""

    @property
    def content(self) -> str | bytes | None:
        """The body: a picture as it is, or JSON that says only what the caller said."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return self.body.model_dump_json(exclude_unset=True, exclude_none=True)


def submit(request: GenerationRequest, idempotency_key: str, hold_s: int = 0) -> ApiCall[Job]:
    """Order pictures; with `hold_s`, the answer may wait that long for them."""
    headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
    if hold_s:
        headers["Prefer"] = f"wait={hold_s}"
    return ApiCall(
        "POST", "/v1/generations", _reader(Job), headers=headers, body=request, hold_s=hold_s
    )


def estimate(request: GenerationRequest) -> ApiCall[Estimate]:
    """Ask what an order would cost, and when it would start."""
    tried = request.model_copy(update={"dry_run": True})
    headers = {"Content-Type": "application/json"}
    return ApiCall("POST", "/v1/generations", _reader(Estimate), headers=headers, body=tried)


def get(job_id: str, hold_s: int = 0) -> ApiCall[Job]:
    """Read a job; with `hold_s`, the answer may wait that long for its end."""
    params = {"wait": hold_s} if hold_s else {}
    return ApiCall("GET", _path(job_id), _reader(Job), params=params, hold_s=hold_s)


def listing(limit: int | None, cursor: str | None) -> ApiCall[JobList]:
    """Read one page of jobs, newest first."""
    given = {"limit": limit, "cursor": cursor}
    params = {name: value for name, value in given.items() if value is not None}
    return ApiCall("GET", "/v1/generations", _reader(JobList), params=params)


def cancel(job_id: str) -> ApiCall[Job]:
    """Stop a job."""
    return ApiCall("POST", _path(job_id, "/cancel"), _reader(Job))


def delete(job_id: str) -> ApiCall[None]:
    """Remove a job and its pictures."""
    return ApiCall("DELETE", _path(job_id), lambda _: None)


def models() -> ApiCall[ModelList]:
    """Read the catalogue."""
    return ApiCall("GET", "/v1/models", _reader(ModelList))


def usage(first: date | None, last: date | None) -> ApiCall[UsageList]:
    """Read what the key has used."""
    days = {"from": first, "to": last}
    params = {name: day.isoformat() for name, day in days.items() if day is not None}
    return ApiCall("GET", "/v1/usage", _reader(UsageList), params=params)


def upload(picture: bytes) -> ApiCall[File]:
    """Keep a picture there for a while. The service knows its kind by its bytes."""
    headers = {"Content-Type": "application/octet-stream"}
    return ApiCall("POST", "/v1/files", _reader(File), headers=headers, body=picture)


def delete_file(file_id: str) -> ApiCall[None]:
    """Remove a picture that was kept there."""
    return ApiCall("DELETE", f"/v1/files/{quote(file_id, safe='')}", lambda _: None)


def download(url: str) -> ApiCall[bytes]:
    """Fetch a picture."""
    return ApiCall("GET", url, lambda response: response.content)


def events(job_id: str, last_event_id: str | None, silence_s: int) -> ApiCall[None]:
    """Open the event stream after the given event; it may be silent that long."""
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    return ApiCall(
        "GET", _path(job_id, "/events"), lambda _: None, headers=headers, hold_s=silence_s
    )


def _path(job_id: str, rest: str = "") -> str:
    return f"/v1/generations/{quote(job_id, safe='')}{rest}"


def _reader(model: type[M]) -> Callable[[httpx.Response], M]:
    return lambda response: model.model_validate_json(response.content)
