"""Doors as records: which one serves a path, what it bounds, how it reads credentials."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request

from latentry.api_keys import Scope
from latentry.errors import InvalidRequest
from latentry.settings import Settings
from service.access.auth import Allowed, Caller
from service.access.schemes import BEARER, Scheme
from service.doors import automatic1111, hugging_face, native, openai, replicate
from service.doors.automatic1111.answers.errors import error_answer
from service.doors.hugging_face.errors import error as hugging_face_error
from service.doors.openai.errors import envelope
from service.doors.replicate.errors import problem as replicate_problem
from service.http import problems
from service.http.body_limit import BodyLimit
from service.http.door import Dialect, Door, LargeBody, door_of
from tests.service.keys import issue


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/images/generations", envelope),
        ("/v1/images/nowhere", envelope),
        ("/sdapi/v1/txt2img", error_answer),
        ("/internal/progress", error_answer),
        ("/controlnet/nowhere", error_answer),
        ("/sdapi", problems.dialect),
        ("/v1/generations", problems.dialect),
        ("/replicate/v1/predictions", replicate_problem),
        ("/replicate", problems.dialect),
        ("/hf/shapes", hugging_face_error),
        ("/hfx", problems.dialect),
        ("/", problems.dialect),
    ],
)
def test_a_path_belongs_to_the_door_with_the_longest_prefix(path: str, dialect: Dialect) -> None:
    app = FastAPI()
    every = (native, openai, automatic1111, replicate, hugging_face)
    app.state.doors = tuple(each.door(Settings()) for each in every)
    assert door_of({"app": app, "path": path}).dialect is dialect


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/responses"),
        ("POST", "/api/v2/jobs"),
        ("GET", "/api/v2/jobs/1"),
        ("GET", "/system_stats"),
    ],
)
async def test_front_apis_that_are_not_offered_are_not_found(client, method, path) -> None:
    answer = await client.request(method, path, json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def _nobody(_: Request) -> Caller:
    raise InvalidRequest


@pytest.mark.parametrize(
    ("route", "path", "covers"),
    [
        ("/v1/files", "/v1/files", True),
        ("/v1/files", "/v1/files/", False),
        ("/v1/files", "/v1/files/x", False),
        ("/v1/files", "/v1/files\n", False),
        ("/models/{owner}/{name}/predictions", "/models/a/b/predictions", True),
        ("/models/{owner}/{name}/predictions", "/models/a/predictions", False),
        ("/models/{owner}/{name}/predictions", "/models/a/b/c/predictions", False),
    ],
)
def test_a_large_body_is_allowed_by_route(route: str, path: str, covers: bool) -> None:
    assert LargeBody(route, 1, _nobody).covers(path) == covers


async def test_each_route_has_its_own_limit_and_all_others_the_usual_one() -> None:
    async def _anyone(_: Request) -> Caller:
        return Caller("anyone")

    async def size(request: Request) -> int:
        return len(await request.body())

    router = APIRouter()
    for path in ("/small", "/large/{name}", "/larger"):
        router.add_api_route(path, size, methods=["POST"])
    own = FastAPI()
    own.state.doors = (Door(routers=(router,), dialect=envelope),)
    own.include_router(router)
    large = (LargeBody("/large/{name}", 100, _anyone), LargeBody("/larger", 1_000, _anyone))
    own.add_middleware(BodyLimit, limit=10, large=large)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(own), base_url="http://gateway"
    ) as client:
        for path, limit in (("/small", 10), ("/large/x", 100), ("/larger", 1_000)):
            answer = await client.post(path, content=b"x" * limit)
            assert (answer.status_code, answer.json()) == (200, limit)
            answer = await client.post(path, content=b"x" * (limit + 1))
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_door_may_bring_its_own_authentication_scheme(app, client, ledger) -> None:
    key = issue(ledger)
    scheme = Scheme(
        name="plain key",
        challenge='Plain realm="latentry"',
        model=BEARER.model,
        read=lambda authorization: key if authorization == "Plain sesame" else None,
    )
    allowed = Allowed(Scope.READ, scheme)

    @app.get("/plain")
    async def plain(request: Request) -> str:
        return (await allowed(request)).tenant

    answer = await client.get("/plain", headers={"Authorization": "Plain sesame"})
    assert (answer.status_code, answer.json()) == (200, "acme")
    for header in (f"Bearer {key.text}", "Plain other", ""):
        answer = await client.get("/plain", headers={"Authorization": header})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Plain realm="latentry"'
