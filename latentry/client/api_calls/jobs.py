"""Calls that make jobs, read, follow and end them."""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from latentry.client.api_calls.call import (
    AnyJob,
    ApiCall,
    JobRequest,
    job_path,
    nothing,
    quoted,
    reader,
)
from latentry.client.filters import Filters, parameters
from latentry.client.results import BatchResult, Job, JobList
from latentry.contracts import (
    Batch,
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    Delivery,
    DeliveryList,
    Estimate,
    GenerationRequest,
    InterpolationRequest,
    UpscaleRequest,
)
from latentry.errors import InvalidIdempotencyKey

_JSON: Final = {"Content-Type": "application/json"}
_ROUTES: Final[dict[type[BaseModel], str]] = {
    GenerationRequest: "/v1/generations",
    InterpolationRequest: "/v1/interpolations",
    UpscaleRequest: "/v1/upscales",
    ControlRequest: "/v1/controls",
    CaptionRequest: "/v1/captions",
    ClipRequest: "/v1/clips",
}


def key(own: str | None) -> str:
    """The caller's idempotency key, or a new one. Raises InvalidIdempotencyKey."""
    made = uuid.uuid4().hex if own is None else own
    if not re.fullmatch(r"[ -~]{1,255}", made):
        raise InvalidIdempotencyKey
    return made


def numbered_key(own: str | None, *most: int) -> str:
    """The key to which each request adds numbers below these. Raises InvalidIdempotencyKey."""
    made = key(own)
    key(":".join([made, *(str(max(0, count - 1)) for count in most)]))
    return made


def submit(
    request: JobRequest,
    idempotency_key: str | None = None,
    hold_s: int = 0,
    within_s: float = math.inf,
) -> ApiCall[Job]:
    """Submit a job; the response may wait up to `hold_s` seconds for its end.

    Without an `idempotency_key` it has a new one. It is not repeated after `within_s` seconds, nor
    when the job would be too late by its request.
    """
    headers = _repeatable(idempotency_key)
    if hold_s:
        headers["Prefer"] = f"wait={hold_s}"
    bounds = [s for s in (request.start_within, request.finish_within) if s is not None]
    return ApiCall(
        "POST",
        _ROUTES[type(request)],
        reader(Job),
        headers=headers,
        body=request,
        hold_s=hold_s,
        within_s=min([within_s, *bounds]),
    )


def submit_batch(
    requests: Sequence[Mapping[str, Any]], idempotency_key: str | None = None
) -> ApiCall[BatchResult]:
    """Submit many jobs, each accepted or refused by itself."""
    headers = _repeatable(idempotency_key)
    body = Batch(requests=tuple(dict(one) for one in requests))
    return ApiCall("POST", "/v1/generations:batch", reader(BatchResult), headers=headers, body=body)


def estimate(request: JobRequest) -> ApiCall[Estimate]:
    """Ask for the cost and the estimated start of a request."""
    dry_run = request.model_copy(update={"dry_run": True})
    route = _ROUTES[type(request)]
    return ApiCall("POST", route, reader(Estimate), headers=_JSON, body=dry_run)


def get(job_id: AnyJob, hold_s: int = 0, within_s: float = math.inf) -> ApiCall[Job]:
    """Read a job; the response may wait up to `hold_s` seconds for its end."""
    params = {"wait": hold_s} if hold_s else {}
    return ApiCall(
        "GET", job_path(job_id), reader(Job), params=params, hold_s=hold_s, within_s=within_s
    )


def listing(
    limit: int | None, cursor: str | None, filters: Filters, *, count: bool = False
) -> ApiCall[JobList]:
    """Read one page of jobs, newest first."""
    params: dict[str, str | int | list[str]] = dict(parameters(filters))
    params |= {} if limit is None else {"limit": limit}
    params |= {} if cursor is None else {"cursor": cursor}
    params |= {"count": "true"} if count else {}
    return ApiCall("GET", "/v1/generations", reader(JobList), params=params)


def cancel(job_id: AnyJob) -> ApiCall[Job]:
    """Cancel a job."""
    return ApiCall("POST", job_path(job_id, "/cancel"), reader(Job))


def delete(job_id: AnyJob) -> ApiCall[None]:
    """Delete a job and all its outputs."""
    return ApiCall("DELETE", job_path(job_id), nothing)


def events(job_id: AnyJob, last_event_id: str | None, silence_s: int) -> ApiCall[None]:
    """Open the event stream after `last_event_id`; it may be silent for `silence_s` seconds."""
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    return ApiCall("GET", job_path(job_id, "/events"), nothing, headers=headers, hold_s=silence_s)


def deliveries(job_id: AnyJob) -> ApiCall[DeliveryList]:
    """Read a job's webhook deliveries."""
    return ApiCall("GET", job_path(job_id, "/deliveries"), reader(DeliveryList))


def redeliver(job_id: AnyJob, delivery_id: str) -> ApiCall[Delivery]:
    """Send a webhook again."""
    path = job_path(job_id, f"/deliveries/{quoted(delivery_id)}/redeliver")
    return ApiCall("POST", path, reader(Delivery))


def _repeatable(idempotency_key: str | None) -> dict[str, str]:
    """The headers of a request that may be sent again. Raises InvalidIdempotencyKey."""
    return {"Idempotency-Key": key(idempotency_key), **_JSON}
