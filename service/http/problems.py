"""Every error's one HTTP answer. The only place that knows statuses."""

import http
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from latentry import errors
from latentry.contracts import FieldError, Problem
from latentry.contracts.problems import PROBLEM_JSON
from latentry.errors import InvalidRequest, LatentryError
from latentry.ledger import UnreadableRecord

log = structlog.get_logger()

STATUS: Final[dict[type[LatentryError], int]] = {
    errors.LatentryError: 500,
    errors.InvalidRequest: 422,
    errors.MalformedBody: 400,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.MalformedHead: 400,
    errors.HeadTooLarge: 431,
    errors.TooSlow: 408,
    errors.NotAcceptable: 406,
    errors.UnsupportedImage: 422,
    errors.ImageTooLarge: 422,
    errors.BrokenImage: 422,
    errors.UnsupportedSize: 422,
    errors.UnsupportedSampler: 422,
    errors.UnsupportedSpacing: 422,
    errors.TooManySteps: 422,
    errors.InvalidPrompt: 422,
    errors.ClipSkipTooLarge: 422,
    errors.UnsupportedField: 422,
    errors.UrlNotAllowed: 422,
    errors.RequestTooExpensive: 422,
    errors.InvalidIdempotencyKey: 400,
    errors.IdempotencyConflict: 422,
    errors.NotFound: 404,
    errors.UnknownModel: 404,
    errors.JobNotFound: 404,
    errors.FileNotFound: 404,
    errors.DeliveryNotFound: 404,
    errors.LinkRefused: 403,
    errors.Unauthenticated: 401,
    errors.InsufficientScope: 403,
    errors.HostRefused: 421,
    errors.Exhausted: 429,
    errors.RateLimited: 429,
    errors.TooManyJobs: 429,
    errors.QuotaExceeded: 429,
    errors.FileQuotaExceeded: 429,
    errors.Unavailable: 503,
    errors.QueueFull: 503,
    errors.DeadlineUnreachable: 503,
    errors.LedgerFull: 503,
    errors.LedgerUnavailable: 503,
    errors.StorageUnavailable: 503,
    errors.NoModel: 503,
    errors.NoAnswer: 503,
    errors.ShuttingDown: 503,
    errors.Busy: 503,
    # For doors that wait for the pictures themselves: the worker behind us did not deliver.
    errors.JobFailed: 502,
    errors.NonFiniteOutput: 502,
    errors.OutOfMemory: 502,
    errors.EngineError: 502,
    errors.ModelNotLoaded: 503,
    errors.Poison: 502,
    # A worker's own and a start's own: no route raises them.
    errors.LeaseLost: 500,
    UnreadableRecord: 500,
    errors.ConfigurationError: 500,
}
# How long to stay away: a restart is quick, a full line takes a while.
_RETRY_AFTER_S: Final[dict[type[LatentryError], int]] = {errors.QueueFull: 10, errors.NoModel: 5}
_USUAL_RETRY_AFTER_S: Final = 2
_SPREAD: Final = 1.5
_FRAMEWORKS: Final = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method; see Allow."),
    406: ("not_acceptable", "We cannot answer in the form that was asked for."),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, before a door puts it into its own words."""

    status: int
    code: str
    detail: str
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


INTERNAL: Final = Failure(500, "internal", "Something went wrong on our side.")

# A compatible door's own way to write an error; the app keeps them by path prefix.
Dialect = Callable[[Failure], Response]


def failure(error: LatentryError) -> Failure:
    """What one of our own errors amounts to."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS)
    status = STATUS[kind]
    if status == 500:
        return INTERNAL
    headers = _headers(status, error, kind)
    fields = error.fields if isinstance(error, InvalidRequest) else {}
    return Failure(status, error.code, error.message, fields, headers)


def _headers(status: int, error: LatentryError, kind: type[LatentryError]) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.Exhausted):
        return {"Retry-After": str(error.retry_after_s)}
    if status != 503:
        return {}
    stay_s = error.retry_after_s if isinstance(error, errors.Unavailable) else None
    if stay_s is None:
        stay_s = _RETRY_AFTER_S.get(kind, _USUAL_RETRY_AFTER_S)
    else:  # not all that were refused at once come back at once
        stay_s *= random.uniform(1, _SPREAD)  # noqa: S311 - no secret
    return {"Retry-After": str(max(1, math.ceil(stay_s)))}


def answer(scope: Scope, what: Failure) -> Response:
    """The response in the words of the door that was knocked at."""
    dialects: dict[str, Dialect] = scope["app"].state.dialects
    spoken = (dialect for prefix, dialect in dialects.items() if scope["path"].startswith(prefix))
    dialect = next(spoken, None)
    response = dialect(what) if dialect else _problem(scope, what)
    status, method = response.status_code, scope["method"]
    log.info("http.refused", method=method, status=status, code=what.code)
    return response


def problem(what: Failure, *, request_id: str, instance: str | None = None) -> Problem:
    """A failure in our own words."""
    return Problem(
        type="about:blank",
        title=http.HTTPStatus(what.status).phrase,
        status=what.status,
        detail=what.detail,
        code=what.code,
        instance=instance,
        request_id=request_id,
        errors=[FieldError(pointer=where, detail=why) for where, why in what.fields.items()],
    )


def _problem(scope: Scope, what: Failure) -> Response:
    body = problem(what, request_id=scope["state"]["request_id"], instance=scope["path"])
    return Response(
        body.model_dump_json(), what.status, dict(what.headers), media_type=PROBLEM_JSON
    )


def install(app: FastAPI) -> None:
    """Answer every error that leaves a route. What is left over, `RequestContext` answers."""

    @app.exception_handler(LatentryError)
    async def ours(request: Request, error: LatentryError) -> Response:
        if (what := failure(error)) is INTERNAL:
            log.error("http.broke", exc_info=error)
        return answer(request.scope, what)

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> Response:
        fields = {str(wrong["loc"][-1]): str(wrong["msg"]) for wrong in error.errors()}
        detail = "; ".join(f"{where}: {why}" for where, why in fields.items())
        return answer(request.scope, Failure(422, InvalidRequest.code, detail, fields))

    @app.exception_handler(HTTPException)
    async def frameworks(request: Request, error: HTTPException) -> Response:
        status = error.status_code
        if status < 400:  # no failure: a route's dependency knew the whole answer
            return Response(None, status, error.headers)
        unusual = (f"http_{status}", f"{http.HTTPStatus(status).phrase}.")
        code, detail = _FRAMEWORKS.get(status, unusual)
        headers = {"Allow": _allowed(request)} if status == 405 else error.headers or {}
        return answer(request.scope, Failure(status, code, detail, headers=headers))


def _allowed(request: Request) -> str:
    # The framework names the methods of one route only; an address may have several.
    def takes(method: str) -> bool:
        # What can be read can be asked for without its body: see `RequestContext`.
        scope = dict(request.scope) | {"method": "GET" if method == "HEAD" else method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    return ", ".join(method for method in ("GET", "HEAD", "POST", "DELETE") if takes(method))
