"""Replicate's error format: problem details, and which inputs were wrong."""

import http
from typing import Final

from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Scope

from latentry.contracts.problems import PROBLEM_JSON
from service.http.failures import Failure

_INPUTS: Final = "Input validation failed"


class InvalidField(BaseModel):
    """What is wrong with one field of the request."""

    type: str = "invalid"
    field: str = Field(description="Such as `input.width`.")
    description: str


class ReplicateProblem(BaseModel):
    """Replicate's error response, and our stable code."""

    title: str
    detail: str
    status: int
    code: str
    request_id: str
    invalid_fields: list[InvalidField] = Field(default_factory=list)


def problem(what: Failure, scope: Scope) -> Response:
    """A failure as Replicate's error response."""
    wrong = [
        InvalidField(field=at.removeprefix("/").replace("/", "."), description=why)
        for at, why in what.fields.items()
    ]
    title = _INPUTS if wrong else http.HTTPStatus(what.status).phrase
    lines = [f"- {one.field}: {one.description}" for one in wrong]
    body = ReplicateProblem(
        title=title,
        detail="\n".join(lines) or what.detail,
        status=what.status,
        code=what.code,
        request_id=scope["state"]["request_id"],
        invalid_fields=wrong,
    )
    text = body.model_dump_json()
    return Response(text, what.status, dict(what.headers), media_type=PROBLEM_JSON)
