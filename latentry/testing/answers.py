"""What the fake service answers with: JSON, problems, files."""

from http import HTTPStatus
from typing import Final

import httpx
from pydantic import BaseModel

from latentry import errors
from latentry.contracts import Problem
from latentry.contracts.problems import PROBLEM_JSON, FieldError
from latentry.errors import LatentryError


class NotFaked(LatentryError):
    """The fake service cannot do this."""

    code = "not_faked"


# As in the gateway, which a test compares; of what the fake finds by itself.
STATUS: Final[dict[type[LatentryError], int]] = {
    errors.InvalidRequest: 422,
    errors.MalformedBody: 400,
    errors.UnsupportedImage: 422,
    errors.BrokenImage: 422,
    errors.FileGone: 422,
    errors.IdempotencyConflict: 422,
    errors.InvalidIdempotencyKey: 400,
    errors.UnsupportedMediaType: 415,
    errors.Unauthenticated: 401,
    errors.LinkRefused: 403,
    errors.NotFound: 404,
    errors.UnknownModel: 404,
    errors.UnknownUpscaler: 404,
    errors.JobNotFound: 404,
    errors.FileNotFound: 404,
    errors.DeliveryNotFound: 404,
    NotFaked: 501,
}


def json(model: BaseModel, status: int = 200, **headers: str) -> httpx.Response:
    """An object of the API."""
    return content(model.model_dump_json().encode(), "application/json", status, **headers)


def content(data: bytes, kind: str, status: int = 200, **headers: str) -> httpx.Response:
    """Bytes of a media type."""
    return httpx.Response(status, content=data, headers={"Content-Type": kind, **headers})


def empty() -> httpx.Response:
    """Done, and nothing to say."""
    return httpx.Response(204)


def refusal(error: LatentryError, request_id: str) -> httpx.Response:
    """The problem of an error that the fake found."""
    fields = error.fields if isinstance(error, errors.InvalidRequest) else {}
    return problem(STATUS[type(error)], error.code, error.message, request_id, fields)


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    fields: dict[str, str] | None = None,
    retry_after_s: int | None = None,
) -> httpx.Response:
    """A refusal as the service writes it."""
    found = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
        errors=[FieldError(pointer=at, detail=why) for at, why in (fields or {}).items()],
    )
    after = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return content(found.model_dump_json().encode(), PROBLEM_JSON, status, **after)
