"""Nothing expected ever becomes a 500, and nothing unexpected tells what it was."""

from collections.abc import Iterator

import pytest

from latentry import errors
from service.http.failures import STATUS, failure


def kinds(root: type[errors.LatentryError]) -> Iterator[type[errors.LatentryError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.startswith("latentry."):
            yield from kinds(kind)


# The client's own errors never cross HTTP, nor do those of its fake and of starting the service.
OTHERS = ("latentry.client.", "latentry.serve.", "latentry.testing.")
KINDS = [kind for kind in kinds(errors.LatentryError) if not kind.__module__.startswith(OTHERS)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_its_status(kind: type[errors.LatentryError]) -> None:
    assert kind in STATUS
    answer = failure(kind())
    assert answer.status == STATUS[kind]
    assert (answer.status in (429, 503)) == ("Retry-After" in answer.headers)
    assert kind.retryable == (answer.status in (408, 429, 503))


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
