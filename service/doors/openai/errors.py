"""OpenAI's error format."""

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Scope

from latentry.contracts.problems import Fault
from latentry.errors import LatentryError, QuotaExceeded
from service.http.failures import Failure, failure
from service.http.openai_fault import fault


class Envelope(BaseModel):
    """OpenAI's error response."""

    error: Fault


class StreamError(BaseModel):
    """The data of a stream's event `error`."""

    type: str = "error"
    error: Fault


def envelope(what: Failure, _: Scope) -> Response:
    """A failure as OpenAI's error response."""
    headers = dict(what.headers)
    # OpenAI's clients retry every 5xx and 429. A failed job would fail again, and a daily quota
    # outlasts their retries.
    if what.status == 502 or what.code == QuotaExceeded.code:
        headers["x-should-retry"] = "false"
    status = 400 if what.status == 422 else what.status  # OpenAI's API has no 422
    body = Envelope(error=fault(what)).model_dump_json()
    return Response(body, status, headers, media_type="application/json")


def fault_of(error: LatentryError) -> Fault:
    """What a stream says of it, whose status is sent already."""
    return fault(failure(error))
