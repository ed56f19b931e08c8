"""The logic of both clients, without I/O: a flow yields calls and pauses and is sent outcomes.

The blocking and the asyncio client run the same flows, as httpx does with its auth flows.
"""

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import httpx
from pydantic import ValidationError

from latentry import contracts
from latentry.client import api_calls
from latentry.client.api_calls import AnyJob, ApiCall, JobRequest
from latentry.client.errors import ApiError, JobDidNotSucceed, StillRunning
from latentry.client.results import Image, Job
from latentry.client.retries import Endurance, Outcome, Retries, error_of
from latentry.contracts import JobStatus
from latentry.errors import InvalidRequest, JobFailed

T = TypeVar("T")

# How long the service may hold one response: long enough to save calls, short enough for proxies.
HOLD_S: Final = 30
# What storage and the service answer for a URL that has expired.
_EXPIRED: Final = frozenset({403, 404, 410})
# Between two polls of a job when the service did not hold its response.
POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next call."""

    seconds: float


Flow = Generator[ApiCall[Any] | Pause, Outcome | None, T]


def answered(
    call: ApiCall[T], retries: Retries, clock: Callable[[], float] = time.monotonic
) -> Flow[T]:
    """The response to a call, retried as `retries` allows, within the time that it is of use."""
    attempt, started = 0, clock()
    retries.budget.earn()
    while True:
        attempt += 1
        outcome = cast(Outcome, (yield call))
        if isinstance(outcome, httpx.Response) and (
            outcome.is_success or _is_deleted(call, attempt, outcome)
        ):
            return _read(call, outcome)
        pause_s = retries.pause_s(attempt, outcome)
        if pause_s is None or clock() - started + pause_s > call.within_s:
            raise error_of(outcome)
        yield Pause(pause_s)


def ended(
    job_id: AnyJob,
    timeout_s: float | None,
    retries: Retries,
    clock: Callable[[], float] = time.monotonic,
) -> Flow[Job]:
    """The job at its end, through restarts of the service.

    After `timeout_s` seconds it raises StillRunning, or what the last call failed with.
    """
    deadline = clock() + bound_s(timeout_s)
    endurance = Endurance(retries, deadline, clock)
    while True:
        sent = clock()
        left_s = max(0.0, deadline - sent)
        hold_s = math.floor(min(HOLD_S, left_s))
        call = api_calls.get(job_id, hold_s, left_s)
        outcome = cast(Outcome, (yield call))
        if not (isinstance(outcome, httpx.Response) and outcome.is_success):
            pause_s = endurance.pause_s(outcome)
            if pause_s is None:
                raise error_of(outcome)
            yield Pause(pause_s)
            continue
        endurance.responded()
        job = _read(call, outcome)
        if job.status.is_terminal:
            return job
        now = clock()
        if now >= deadline:
            raise StillRunning(job)
        if now - sent < POLL_S:
            yield Pause(min(POLL_S, deadline - now))


def generated(
    request: JobRequest,
    idempotency_key: str | None,
    timeout_s: float | None,
    retries: Retries,
    clock: Callable[[], float] = time.monotonic,
) -> Flow[Job]:
    """The succeeded job. Raises JobDidNotSucceed, or StillRunning after `timeout_s` seconds."""
    limit_s = bound_s(timeout_s)
    started = clock()
    hold_s = math.floor(min(HOLD_S, limit_s))
    submit = api_calls.submit(request, idempotency_key, hold_s, limit_s)
    job = yield from answered(submit, retries, clock)
    if not job.status.is_terminal:
        left_s = max(0.0, limit_s - (clock() - started))
        job = yield from ended(job.id, left_s, retries, clock)
    if job.status is not JobStatus.SUCCEEDED:
        raise JobDidNotSucceed(job)
    return job


def bound_s(timeout_s: float | None) -> float:
    """How long a wait may take: for ever with None or infinity. Raises InvalidRequest."""
    if timeout_s is None or timeout_s >= 0:  # NaN is not
        return math.inf if timeout_s is None else timeout_s
    raise InvalidRequest(f"timeout_s: It must be 0 or more seconds, or None, not {timeout_s}.")


def image_bytes(image: contracts.Image, retries: Retries) -> Flow[bytes]:
    """The encoded bytes of an image; if its URL has expired, by the one that its job has now."""
    try:
        return (yield from answered(api_calls.download(_url(image)), retries))
    except ApiError as error:
        if error.status not in _EXPIRED or not isinstance(image, Image) or not image.job_id:
            raise
        job = yield from answered(api_calls.get(image.job_id), retries)
        now = job.now(image)
        if now is None or now.url == image.url:
            raise
    return (yield from answered(api_calls.download(_url(now)), retries))


def _url(image: contracts.Image) -> str:
    """Where an image is. Raises JobFailed, which says why there is no picture."""
    if image.url:
        return image.url
    error = image.error if isinstance(image, contracts.Output) else None
    if error is None:
        raise JobFailed("The service has no picture here.")
    failure = JobFailed(error.message)
    failure.code = error.code
    raise failure


def _read(call: ApiCall[T], response: httpx.Response) -> T:
    try:
        return call.read(response)
    except ValidationError as error:
        raise ApiError.of(response) from error


def _is_deleted(call: ApiCall[Any], attempt: int, outcome: httpx.Response) -> bool:
    """Whether an earlier attempt, whose response was lost, has deleted it."""
    return call.method == "DELETE" and attempt > 1 and outcome.status_code in (404, 410)
