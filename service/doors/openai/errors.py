"""OpenAI's error format."""

from typing import Literal

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Scope

from latentry.errors import QuotaExceeded
from service.http.failures import Failure


class Fault(BaseModel):
    """OpenAI's error object. All four keys are always present."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str


class Envelope(BaseModel):
    """OpenAI's error response."""

    error: Fault


def envelope(failure: Failure, _: Scope) -> Response:
    """A failure as OpenAI's error response."""
    param = next(iter(failure.fields), "").removeprefix("/") or None
    fault = Fault(
        message=failure.detail,
        type="invalid_request_error" if failure.status < 500 else "server_error",
        param="size" if param in ("width", "height") else param,
        code=failure.code,
    )
    headers = dict(failure.headers)
    # OpenAI's clients retry every 5xx and 429. A failed job would fail again, and a daily quota
    # outlasts their retries.
    if failure.status == 502 or failure.code == QuotaExceeded.code:
        headers["x-should-retry"] = "false"
    status = 400 if failure.status == 422 else failure.status  # OpenAI's API has no 422
    body = Envelope(error=fault).model_dump_json()
    return Response(body, status, headers, media_type="application/json")
