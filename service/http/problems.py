"""Failures as responses: the door's own error format, or RFC 9457 problem details by default."""

import http
from collections.abc import Sequence
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from latentry.contracts import FieldError, Problem
from latentry.contracts.problems import PROBLEM_JSON
from latentry.errors import InvalidRequest, LatentryError
from service.http.door import door_of
from service.http.failures import INTERNAL, Failure, failure
from service.http.openai_fault import fault

log = structlog.get_logger()

FRAMEWORK: Final = {
    404: ("not_found", "No such path."),
    405: ("method_not_allowed", "This path does not support the method; see the Allow header."),
    406: ("not_acceptable", "The response cannot be sent in a format that `Accept` allows."),
}


def response(scope: Scope, what: Failure) -> Response:
    """The response to a failed request, in the error format of the door that serves its path."""
    rendered = door_of(scope).dialect(what, scope)
    status = rendered.status_code
    log.info("http.refused", method=scope["method"], status=status, code=what.code)
    return rendered


def problem(what: Failure, *, request_id: str, instance: str | None = None) -> Problem:
    """A failure as problem details."""
    return Problem(
        type="about:blank",
        title=http.HTTPStatus(what.status).phrase,
        status=what.status,
        detail=what.detail,
        code=what.code,
        instance=instance,
        request_id=request_id,
        errors=[FieldError(pointer=where, detail=why) for where, why in what.fields.items()],
        error=fault(what),
    )


def dialect(what: Failure, scope: Scope) -> Response:
    """The native error format: `application/problem+json`."""
    path = scope.get("root_path", "") + scope["path"]
    body = problem(what, request_id=scope["state"]["request_id"], instance=path)
    return Response(
        body.model_dump_json(), what.status, dict(what.headers), media_type=PROBLEM_JSON
    )


def install(app: FastAPI) -> None:
    """Render every error that a route raises. `RequestContext` renders what is left."""

    @app.exception_handler(LatentryError)
    async def own(request: Request, error: LatentryError) -> Response:
        if (what := failure(error)) is INTERNAL:
            log.error("http.crashed", exc_info=error)
        return response(request.scope, what)

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> Response:
        # Where a parameter is repeated, the place is followed by the number of the value.
        fields = {_parameter(wrong["loc"]): str(wrong["msg"]) for wrong in error.errors()}
        detail = "; ".join(f"{where}: {why}" for where, why in fields.items())
        return response(request.scope, Failure(422, InvalidRequest.code, detail, fields))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        status = error.status_code
        if status < 400:  # not a failure: a route's dependency answered early
            return Response(None, status, error.headers)
        default = (f"http_{status}", f"{http.HTTPStatus(status).phrase}.")
        code, detail = FRAMEWORK.get(status, default)
        headers = {"Allow": _allowed(request)} if status == 405 else error.headers or {}
        return response(request.scope, Failure(status, code, detail, headers=headers))


def _allowed(request: Request) -> str:
    # The framework lists the methods of one route only; a path may have several routes.
    def supports(method: str) -> bool:
        # `RequestContext` serves HEAD wherever GET is served.
        scope = dict(request.scope) | {"method": "GET" if method == "HEAD" else method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    return ", ".join(method for method in ("GET", "HEAD", "POST", "DELETE") if supports(method))


def _parameter(place: Sequence[int | str]) -> str:
    return next(str(part) for part in reversed(place) if isinstance(part, str))
