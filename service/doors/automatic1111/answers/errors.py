"""AUTOMATIC1111's error format."""

from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Scope

from service.http.failures import Failure


class ErrorAnswer(BaseModel):
    """Its error response; `error` is a stable code of ours, not the name of a class."""

    error: str
    detail: str = Field(description="What is wrong, in a sentence.")
    body: str = ""
    errors: str = Field(description="The same, field by field where fields are to blame.")


def error_answer(what: Failure, _: Scope) -> Response:
    """A failure in its format."""
    named = "; ".join(f"{at.removeprefix('/')}: {why}" for at, why in what.fields.items())
    body = ErrorAnswer(error=what.code, detail=what.detail, errors=named or what.detail)
    return Response(
        body.model_dump_json(), what.status, dict(what.headers), media_type="application/json"
    )
