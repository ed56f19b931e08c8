"""Every failure as OpenAI's error object."""

import pytest

from latentry import errors
from service.http.failures import Failure, failure
from service.http.openai_fault import fault


@pytest.mark.parametrize(
    ("error", "kind", "code", "param"),
    [
        (errors.UnknownModel(), "invalid_request_error", "model_not_found", "model"),
        (errors.Unauthenticated(), "invalid_request_error", "invalid_api_key", None),
        (errors.RateLimited(), "requests", "rate_limit_exceeded", None),
        (errors.TooManyJobs(), "requests", "rate_limit_exceeded", None),
        (errors.QuotaExceeded(), "insufficient_quota", "insufficient_quota", None),
        (errors.QueueFull(), "server_error", "queue_full", None),
        (errors.UnsupportedSize(fields={"/width": "x"}), "invalid_request_error",
         "unsupported_size", "size"),
        (errors.InvalidRequest(fields={"/hires/scale": "x"}), "invalid_request_error",
         "invalid_request", "hires/scale"),
    ],
)  # fmt: skip
def test_types_and_codes_are_openais_where_it_has_them(error, kind, code, param) -> None:
    found = fault(failure(error))
    assert (found.type, found.code, found.param) == (kind, code, param)
    assert found.message == error.message


async def test_every_problem_carries_it(client, worker) -> None:
    missing = (await client.get("/v1/models/dreams")).json()
    assert missing["code"] == "unknown_model"
    assert missing["error"] == {
        "message": missing["detail"],
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    assert (await client.get("/nowhere")).json()["error"]["code"] == "not_found"
    assert fault(Failure(500, "internal", "x")).type == "server_error"
