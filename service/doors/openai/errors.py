"""OpenAI's error format."""

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Scope

from latentry.contracts.problems import Fault
from latentry.errors import QuotaExceeded
from service.http.failures import Failure
from service.http.openai_fault import fault


class Envelope(BaseModel):
    """OpenAI's error response."""

    error: Fault


def envelope(failure: Failure, _: Scope) -> Response:
    """A failure as OpenAI's error response."""
    headers = dict(failure.headers)
    # OpenAI's clients retry every 5xx and 429. A failed job would fail again, and a daily quota
    # outlasts their retries.
    if failure.status == 502 or failure.code == QuotaExceeded.code:
        headers["x-should-retry"] = "false"
    status = 400 if failure.status == 422 else failure.status  # OpenAI's API has no 422
    body = Envelope(error=fault(failure)).model_dump_json()
    return Response(body, status, headers, media_type="application/json")
