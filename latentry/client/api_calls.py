"""The API as values: each call is a method, a path, a body and how to read the response."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from latentry.client.filters import Filters, parameters
from latentry.contracts import (
    AdapterList,
    Batch,
    BatchResult,
    ClipRequest,
    Delivery,
    DeliveryList,
    Estimate,
    File,
    GenerationRequest,
    InterpolationRequest,
    Job,
    JobList,
    ModelList,
    StyleList,
    UpscaleRequest,
    UpscalerList,
    UsageList,
    Verification,
    VerifyRequest,
)
from latentry.contracts.catalogue.capabilities import Capabilities

# What a job is asked for with, and where.
JobRequest: TypeAlias = GenerationRequest | InterpolationRequest | UpscaleRequest | ClipRequest
_ROUTES: Final[dict[type[BaseModel], str]] = {
    GenerationRequest: "/v1/generations",
    InterpolationRequest: "/v1/interpolations",
    UpscaleRequest: "/v1/upscales",
    ClipRequest: "/v1/clips",
}
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


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


def submit(
    request: JobRequest,
    idempotency_key: str,
    hold_s: int = 0,
    within_s: float = math.inf,
) -> ApiCall[Job]:
    """Submit a job; the response may wait up to `hold_s` seconds for its end.

    It is not repeated after `within_s` seconds, nor when the job would be too late by its request.
    """
    headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
    if hold_s:
        headers["Prefer"] = f"wait={hold_s}"
    bounds = [s for s in (request.start_within, request.finish_within) if s is not None]
    return ApiCall(
        "POST",
        _ROUTES[type(request)],
        _reader(Job),
        headers=headers,
        body=request,
        hold_s=hold_s,
        within_s=min([within_s, *bounds]),
    )


def submit_batch(
    requests: Sequence[Mapping[str, Any]], idempotency_key: str
) -> ApiCall[BatchResult]:
    """Submit many jobs, each accepted or refused by itself."""
    headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
    body = Batch(requests=tuple(dict(one) for one in requests))
    return ApiCall(
        "POST", "/v1/generations:batch", _reader(BatchResult), headers=headers, body=body
    )


def estimate(request: JobRequest) -> ApiCall[Estimate]:
    """Ask for the cost and the estimated start of a request."""
    dry_run = request.model_copy(update={"dry_run": True})
    headers = {"Content-Type": "application/json"}
    route = _ROUTES[type(request)]
    return ApiCall("POST", route, _reader(Estimate), headers=headers, body=dry_run)


def get(job_id: Job | str, hold_s: int = 0, within_s: float = math.inf) -> ApiCall[Job]:
    """Read a job; the response may wait up to `hold_s` seconds for its end."""
    params = {"wait": hold_s} if hold_s else {}
    return ApiCall(
        "GET", _path(job_id), _reader(Job), params=params, hold_s=hold_s, within_s=within_s
    )


def listing(
    limit: int | None, cursor: str | None, filters: Filters, *, count: bool = False
) -> ApiCall[JobList]:
    """Read one page of jobs, newest first."""
    params: dict[str, str | int | list[str]] = dict(parameters(filters))
    params |= {} if limit is None else {"limit": limit}
    params |= {} if cursor is None else {"cursor": cursor}
    params |= {"count": "true"} if count else {}
    return ApiCall("GET", "/v1/generations", _reader(JobList), params=params)


def cancel(job_id: Job | str) -> ApiCall[Job]:
    """Cancel a job."""
    return ApiCall("POST", _path(job_id, "/cancel"), _reader(Job))


def delete(job_id: Job | str) -> ApiCall[None]:
    """Delete a job and all its outputs."""
    return ApiCall("DELETE", _path(job_id), lambda _: None)


def deliveries(job_id: Job | str) -> ApiCall[DeliveryList]:
    """Read a job's webhook deliveries."""
    return ApiCall("GET", _path(job_id, "/deliveries"), _reader(DeliveryList))


def redeliver(job_id: Job | str, delivery_id: str) -> ApiCall[Delivery]:
    """Send a webhook again."""
    path = _path(job_id, f"/deliveries/{quote(delivery_id, safe='')}/redeliver")
    return ApiCall("POST", path, _reader(Delivery))


def capabilities() -> ApiCall[Capabilities]:
    """Read what the service can do."""
    return ApiCall("GET", "/v1/capabilities", _reader(Capabilities))


def models() -> ApiCall[ModelList]:
    """Read the list of models."""
    return ApiCall("GET", "/v1/models", _reader(ModelList))


def upscalers() -> ApiCall[UpscalerList]:
    """Read the list of upscalers."""
    return ApiCall("GET", "/v1/upscalers", _reader(UpscalerList))


def adapters() -> ApiCall[AdapterList]:
    """Read the list of adapters."""
    return ApiCall("GET", "/v1/adapters", _reader(AdapterList))


def styles() -> ApiCall[StyleList]:
    """Read the list of styles."""
    return ApiCall("GET", "/v1/styles", _reader(StyleList))


def usage(first: date | None, last: date | None) -> ApiCall[UsageList]:
    """Read the usage of the API key."""
    days = {"from": first, "to": last}
    params = {name: day.isoformat() for name, day in days.items() if day is not None}
    return ApiCall("GET", "/v1/usage", _reader(UsageList), params=params)


def upload(picture: bytes) -> ApiCall[File]:
    """Upload a picture. The service detects the format from the bytes."""
    headers = {"Content-Type": "application/octet-stream"}
    return ApiCall("POST", "/v1/files", _reader(File), headers=headers, body=picture)


def verify(reference: str) -> ApiCall[Verification]:
    """Examine a picture, named as requests name one."""
    headers = {"Content-Type": "application/json"}
    body = VerifyRequest(image=reference)
    return ApiCall("POST", "/v1/verify", _reader(Verification), headers=headers, body=body)


def delete_file(file_id: str) -> ApiCall[None]:
    """Delete an uploaded picture."""
    return ApiCall("DELETE", f"/v1/files/{quote(file_id, safe='')}", lambda _: None)


def download(url: str) -> ApiCall[bytes]:
    """Download an image."""
    return ApiCall("GET", url, lambda response: response.content)


def events(job_id: Job | str, last_event_id: str | None, silence_s: int) -> ApiCall[None]:
    """Open the event stream after `last_event_id`; it may be silent for `silence_s` seconds."""
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    return ApiCall(
        "GET", _path(job_id, "/events"), lambda _: None, headers=headers, hold_s=silence_s
    )


def _path(job: Job | str, rest: str = "") -> str:
    job_id = job if isinstance(job, str) else job.id
    return f"/v1/generations/{quote(job_id, safe='')}{rest}"


def _reader(model: type[M]) -> Callable[[httpx.Response], M]:
    return lambda response: model.model_validate_json(response.content)
