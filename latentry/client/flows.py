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

from latentry.client import api_calls
from latentry.client.api_calls import ApiCall, Request
from latentry.client.errors import ApiError, JobDidNotSucceed, StillRunning
from latentry.client.retries import Outcome, Retries, error_of
from latentry.contracts import Job, JobStatus

T = TypeVar("T")

# How long the service may hold one response: long enough to save calls, short enough for proxies.
HOLD_S: Final = 30
# Between two polls of a job when the service did not hold its response.
POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next call."""

    seconds: float


Flow = Generator[ApiCall[Any] | Pause, Outcome | None, T]


def answered(call: ApiCall[T], retries: Retries) -> Flow[T]:
    """The response to a call, retried as `retries` allows."""
    attempt = 0
    while True:
        attempt += 1
        outcome = cast(Outcome, (yield call))
        if isinstance(outcome, httpx.Response) and (
            outcome.is_success or _is_deleted(call, attempt, outcome)
        ):
            try:
                return call.read(outcome)
            except ValidationError as error:
                raise ApiError.of(outcome) from error
        pause_s = retries.pause_s(attempt, outcome)
        if pause_s is None:
            raise error_of(outcome)
        yield Pause(pause_s)


def ended(
    job_id: str,
    timeout_s: float | None,
    retries: Retries,
    clock: Callable[[], float] = time.monotonic,
) -> Flow[Job]:
    """The job at its end. Raises StillRunning after `timeout_s` seconds."""
    deadline = clock() + (math.inf if timeout_s is None else timeout_s)
    while True:
        sent = clock()
        hold_s = math.ceil(min(HOLD_S, max(0.0, deadline - sent)))
        job = yield from answered(api_calls.get(job_id, hold_s), retries)
        if job.status.is_terminal:
            return job
        now = clock()
        if now >= deadline:
            raise StillRunning(job)
        if now - sent < min(POLL_S, hold_s):
            yield Pause(min(POLL_S, deadline - now))


def generated(
    request: Request,
    idempotency_key: str,
    timeout_s: float | None,
    retries: Retries,
    clock: Callable[[], float] = time.monotonic,
) -> Flow[Job]:
    """The succeeded job. Raises JobDidNotSucceed, or StillRunning after `timeout_s` seconds."""
    limit_s = math.inf if timeout_s is None else timeout_s
    started = clock()
    hold_s = math.ceil(min(HOLD_S, limit_s))
    job = yield from answered(api_calls.submit(request, idempotency_key, hold_s), retries)
    if not job.status.is_terminal:
        job = yield from ended(job.id, limit_s - (clock() - started), retries, clock)
    if job.status is not JobStatus.SUCCEEDED:
        raise JobDidNotSucceed(job)
    return job


def _is_deleted(call: ApiCall[Any], attempt: int, outcome: httpx.Response) -> bool:
    """Whether an earlier attempt, whose response was lost, has deleted it."""
    return call.method == "DELETE" and attempt > 1 and outcome.status_code == 404
