"""Nothing expected ever becomes a 500, and nothing unexpected tells what it was."""

import inspect

import pytest

from latentry import errors
from service.problems import STATUS, failure

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.LatentryError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_its_status(kind: type[errors.LatentryError]) -> None:
    assert kind in STATUS
    answer = failure(kind())
    assert answer.status == STATUS[kind]
    assert (answer.status == 503) == ("Retry-After" in answer.headers)
    assert kind.retryable == (answer.status == 503)


def test_codes_are_unique() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


async def test_an_unexpected_exception_says_nothing_about_itself(app, client) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("redis://user:password@secret-host")

    answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
