"""Hugging Face's error format."""

from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Scope

from service.http.failures import Failure


class HuggingFaceError(BaseModel):
    """Hugging Face's error response, and our stable code."""

    error: str
    error_type: str = Field(description="A code that does not change.")
    request_id: str


def error(what: Failure, scope: Scope) -> Response:
    """A failure as Hugging Face's error response.

    503 is said as 504: their npm client repeats a 503 at once and for ever.
    """
    status = 504 if what.status == 503 else what.status
    wrong = [f"{at.removeprefix('/').replace('/', '.')}: {why}" for at, why in what.fields.items()]
    body = HuggingFaceError(
        error="; ".join(wrong) or what.detail,
        error_type=what.code,
        request_id=scope["state"]["request_id"],
    )
    text, headers = body.model_dump_json(), dict(what.headers)
    return Response(text, status, headers, media_type="application/json")
