"""The fake's answers to requests for jobs."""

import hashlib
import re
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from latentry.contracts import (
    Batch,
    BatchItem,
    BatchResult,
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    Estimate,
    GenerationRequest,
    InterpolationRequest,
    Problem,
    UpscaleRequest,
)
from latentry.errors import (
    IdempotencyConflict,
    InvalidIdempotencyKey,
    LatentryError,
    MalformedBody,
    UnsupportedMediaType,
)
from latentry.testing import answers
from latentry.testing.jobs import FakeJob, Resolved, cost_of
from latentry.testing.resolving import (
    resolve,
    resolve_caption,
    resolve_clip,
    resolve_control,
    resolve_interpolation,
    resolve_upscale,
)
from latentry.testing.script import JobScript
from latentry.testing.state import FakeCall, State
from latentry.validation import invalid

Request = (
    GenerationRequest
    | InterpolationRequest
    | UpscaleRequest
    | ClipRequest
    | ControlRequest
    | CaptionRequest
)
R = TypeVar("R", bound=BaseModel)
Wanted = TypeVar(
    "Wanted",
    GenerationRequest,
    InterpolationRequest,
    UpscaleRequest,
    ClipRequest,
    ControlRequest,
    CaptionRequest,
)


def creates(model: type[Wanted]) -> Callable[[State, FakeCall], httpx.Response]:
    """The answer to a request of this kind."""

    def create(state: State, call: FakeCall) -> httpx.Response:
        request: Request = body_of(call, model)
        if request.dry_run:
            return answers.json(_estimate(resolved(state, request)))
        key = call.request.headers.get("Idempotency-Key")
        job = _accepted(state, request, key, call.request.content)
        waits = re.search(r"\bwait=(\d+)", call.request.headers.get("Prefer", ""))
        if waits and int(waits[1]):
            job.advance()
        applied = {"Preference-Applied": waits[0]} if waits else {}
        told = state.told(job)
        status = 200 if told.done else 202
        return answers.json(told, status, Location=told.urls.self, **applied)

    return create


def create_generations(state: State, call: FakeCall) -> httpx.Response:
    """Each accepted or refused by itself."""
    batch = body_of(call, Batch)
    key = call.request.headers.get("Idempotency-Key")
    items = [
        _item(state, index, fields, None if key is None else f"{key}:{index}")
        for index, fields in enumerate(batch.requests)
    ]
    return answers.json(BatchResult(data=items))


def body_of(call: FakeCall, model: type[R]) -> R:
    """The JSON body of a call. Raises UnsupportedMediaType, or as `parsed`."""
    if media_type(call) != "application/json":
        raise UnsupportedMediaType
    return parsed(call.request.content, model)


def media_type(call: FakeCall) -> str:
    """Of the body, without parameters."""
    kind: str = call.request.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower()


def parsed(body: bytes, model: type[R]) -> R:
    """The request. Raises MalformedBody, or InvalidRequest as the service does."""
    try:
        from_json(body)
    except ValueError:
        raise MalformedBody from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error, model) from None


def resolved(state: State, request: Request) -> Resolved:
    """The request as a worker would get it. Raises a LatentryError as the service does."""
    match request:
        case GenerationRequest():
            return resolve(request, state.card, state.find, state.seed())
        case InterpolationRequest():
            return resolve_interpolation(request, state.card, state.find, state.seed())
        case ClipRequest():
            return resolve_clip(request, state.card, state.find, state.seed())
        case UpscaleRequest():
            return resolve_upscale(request, state.find)
        case ControlRequest():
            return resolve_control(request, state.find)
        case CaptionRequest():
            return resolve_caption(request, state.find)


def _accepted(state: State, request: Request, key: str | None, body: bytes) -> FakeJob:
    if key is not None and not re.fullmatch(r"[ -~]{1,255}", key):
        raise InvalidIdempotencyKey
    digest = hashlib.sha256(body).hexdigest()
    if key is not None and key in state.job_of_key:
        known, job = state.job_of_key[key]
        if known != digest:
            raise IdempotencyConflict
        return job
    whole = resolved(state, request)
    script = state.scripts.popleft() if state.scripts else JobScript()
    job = FakeJob(whole, script, priority=request.priority, webhook=request.webhook)
    state.jobs[job.id] = job
    if key is not None:
        state.job_of_key[key] = digest, job
    return job


def _item(state: State, index: int, fields: dict[str, Any], key: str | None) -> BatchItem:
    body = to_json(fields)
    try:
        request = parsed(body, GenerationRequest)
        if request.dry_run:
            estimate = _estimate(resolved(state, request))
            return BatchItem(index=index, status=200, estimate=estimate)
        job = state.told(_accepted(state, request, key, body))
        return BatchItem(index=index, status=200 if job.done else 202, job=job)
    except LatentryError as error:
        refused = answers.refusal(error, f"req_{index}")
        problem = Problem.model_validate_json(refused.content)
        return BatchItem(index=index, status=problem.status, problem=problem)


def _estimate(request: Resolved) -> Estimate:
    return Estimate(cost=cost_of(request), estimated_wait_s=0.0)
