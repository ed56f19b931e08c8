"""Access: a key allows its scopes, no key nothing; on loopback keys may be left out."""

from collections.abc import Iterator

import httpx
import openai
import pytest
from fastapi.routing import APIRoute

from latentry.api_keys import ApiKey, Scope
from latentry.client import Client, Retries
from latentry.client.errors import ApiError
from latentry.ledger import keyring
from latentry.ledger.keyring import Allowance
from service.access.auth import Allowed
from service.app import create_app
from tests.service.keys import bearer, issue

REQUEST = {"prompt": "a red circle"}
# Health is for orchestrators, links carry their own signature, and the API's description is public.
OPEN = {
    *("/", "/livez", "/readyz", "/docs", "/docs/{name}", "/openapi.json"),
    *("/v1/files/{key:path}", "/replicate/v1/streams/{tenant}/{prediction_id}"),
}


def scopes(dependant) -> set[Scope]:
    own = {dependant.call.scope} if isinstance(dependant.call, Allowed) else set()
    return own.union(*(scopes(part) for part in dependant.dependencies))


def routes(app) -> Iterator[APIRoute]:
    for door in app.routes:
        inside = getattr(door, "original_router", None)  # FastAPI keeps an included router whole
        for route in inside.routes if inside else [door]:
            assert isinstance(route, APIRoute) or route.path in OPEN
            if isinstance(route, APIRoute):
                yield route


def test_every_route_says_what_a_key_must_be_for_or_is_open_to_all(app) -> None:
    found = {(route.path, *route.methods): scopes(route.dependant) for route in routes(app)}
    assert len(found) > 10
    for (path, *_), needed in found.items():
        assert len(needed) == (path not in OPEN), path


async def test_while_there_is_no_key_every_client_on_this_machine_is_served(client, worker) -> None:
    useless = [{"Authorization": text} for text in ("", "Bearer", "Bearer any", "Basic Og==")]
    for header in ({}, *useless, bearer(ApiKey.new())):
        assert (
            await client.post("/v1/generations", json=REQUEST, headers=header)
        ).status_code == 202
    jobs = (await client.get("/v1/generations")).json()["data"]
    assert len(jobs) == 6


async def test_from_the_first_key_on_a_key_is_required(client, worker) -> None:
    assert (await client.get("/v1/models")).status_code == 200
    key = issue(worker.ledger)
    assert (await client.get("/v1/models")).status_code == 401
    assert (await client.get("/v1/models", headers=bearer(key))).status_code == 200
    worker.ledger.run(keyring.revoke(key.id))
    assert (await client.get("/v1/models")).status_code == 401


async def test_every_useless_key_is_refused_in_the_same_words(client, ledger) -> None:
    good, revoked, expired = issue(ledger), issue(ledger), issue(ledger, ttl_ms=1)
    ledger.run(keyring.revoke(revoked.id))
    presented = [
        "",
        "Bearer",
        "Bearer any",
        f"Basic {good.text}",
        f"Bearer {good.text[:-1]}",
        f"Bearer {ApiKey.new().text}",
        f"Bearer {ApiKey.new(good.id).text}",
        f"Bearer {revoked.text}",
        f"Bearer {expired.text}",
        "Bearer \xff",
    ]
    answers = [
        await client.get(
            "/v1/models", headers={"Authorization": text.encode("latin-1"), "X-Request-Id": "r"}
        )
        for text in presented
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1
    assert answers[0].json()["code"] == "unauthenticated"
    assert answers[0].headers["www-authenticate"] == "Bearer"
    again = await client.get("/v1/models", headers={"Authorization": f"bearer  {good.text} "})
    assert again.status_code == 200


async def test_nothing_but_the_open_routes_is_answered_to_strangers(app, client, ledger) -> None:
    issue(ledger)
    for route in routes(app):
        for method in route.methods:
            path = route.path.replace("{key:path}", "a/b/1-0.png").replace(
                "{job_id}", "gen_" + "0" * 32
            )
            answer = await client.request(method, path)
            assert (answer.status_code == 401) == (route.path not in OPEN), path


async def test_a_key_does_what_it_is_made_for_and_nothing_else(client, worker) -> None:
    reader = bearer(issue(worker.ledger, scopes=frozenset({Scope.READ})))
    writer = bearer(issue(worker.ledger, scopes=frozenset({Scope.WRITE})))
    refused = await client.post("/v1/generations", json=REQUEST, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    assert "generations:write" in refused.json()["detail"]
    assert (await client.get("/v1/generations", headers=reader)).json()["data"] == []
    assert (await client.post("/v1/generations", json=REQUEST, headers=writer)).status_code == 202
    assert (await client.get("/v1/generations", headers=writer)).status_code == 403


async def test_a_new_secret_opens_at_once_and_the_old_one_for_as_long_as_was_said(
    client, ledger
) -> None:
    old = issue(ledger)
    middle, last = ApiKey.new(old.id), ApiKey.new(old.id)

    async def opens() -> list[bool]:
        keys = (old, middle, last)
        answers = [await client.get("/v1/models", headers=bearer(key)) for key in keys]
        return [answer.status_code == 200 for answer in answers]

    assert await opens() == [True, False, False]
    for _ in range(2):  # a reply may be lost
        ledger.run(keyring.rotate(middle, grace_ms=60_000))
    assert await opens() == [True, True, False]
    ledger.run(keyring.rotate(last, grace_ms=0))
    assert await opens() == [False, False, True]
    ledger.run(keyring.revoke(old.id))
    assert await opens() == [False, False, False]
    assert ledger.run(keyring.rotate(ApiKey.new(old.id), grace_ms=0)) is None


async def test_too_many_requests_get_429_with_retry_after(client, ledger) -> None:
    key = bearer(issue(ledger, allowance=Allowance(per_minute=2, burst=2)))
    first = await client.get("/v1/models", headers=key)
    assert first.headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert first.headers["ratelimit"] == '"requests";r=1;t=30'
    assert (await client.get("/v1/models", headers=key)).headers["ratelimit"].endswith("t=60")
    over = await client.get("/v1/models", headers=key)
    assert (over.status_code, over.json()["code"]) == (429, "rate_limited")
    assert 29 <= int(over.headers["retry-after"]) <= 30
    assert over.headers["ratelimit"].startswith('"requests";r=0;')
    assert "ratelimit" not in (await client.get("/livez")).headers


async def test_strangers_who_know_a_keys_id_cannot_use_up_its_requests(client, ledger) -> None:
    key = issue(ledger, allowance=Allowance(per_minute=1, burst=1))
    for _ in range(5):
        guess = bearer(ApiKey.new(key.id))
        assert (await client.get("/v1/models", headers=guess)).status_code == 401
    [record] = ledger.run(keyring.list_keys())[1]
    assert record.used_ms is None
    assert (await client.get("/v1/models", headers=bearer(key))).status_code == 200
    [record] = ledger.run(keyring.list_keys())[1]
    assert record.used_ms is not None


def test_no_secret_is_in_the_ledger(ledger) -> None:
    key = issue(ledger)
    record = ledger.client.hgetall(f"{ledger.root}:apikey:{key.id}")
    assert record["digest"] == key.digest
    assert key.secret not in str(record)


@pytest.mark.parametrize("auth", ["auto", "on"])
async def test_while_the_ledger_is_away_every_request_is_refused(settings, auth: str) -> None:
    nowhere = settings.model_validate(
        settings.model_dump() | {"redis_url": "redis://127.0.0.1:1/0", "auth": auth}
    )
    transport = httpx.ASGITransport(create_app(nowhere))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for header in ({}, bearer(ApiKey.new())):
            answer = await client.get("/v1/generations", headers=header)
            assert answer.status_code in (401, 503)
        assert answer.json()["code"] == "ledger_unavailable"


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "gateway", "GATEWAY"]
)
async def test_without_keys_this_machines_own_names_are_answered(client, host: str) -> None:
    assert (await client.get("/v1/models", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost."]
)
async def test_a_page_whose_name_was_bent_to_this_machine_is_not_answered(
    client, ledger, host: str
) -> None:
    refused = await client.get("/v1/models", headers={"Host": host})
    assert (refused.status_code, refused.json()["code"]) == (421, "host_refused")
    key = bearer(issue(ledger))  # which no such page has
    answer = await client.get("/v1/models", headers={"Host": host} | key)
    assert answer.status_code == 200


async def served(settings, **changes):
    app = create_app(settings.model_validate(settings.model_dump() | changes))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client


async def test_on_requires_keys_before_there_are_any_and_off_never_does(settings, ledger) -> None:
    async for client in served(settings, auth="on"):
        assert (await client.get("/v1/models")).status_code == 401
    issue(ledger)
    async for client in served(settings, auth="off"):
        assert (await client.get("/v1/models")).status_code == 200
        evil = await client.get("/v1/models", headers={"Host": "evil.example"})
        assert evil.status_code == 421


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
async def test_an_address_that_others_can_reach_always_requires_a_key(settings, host: str) -> None:
    async for client in served(settings, host=host):
        assert (await client.get("/v1/models")).status_code == 401


async def test_the_bootstrap_key_is_valid_from_the_start_until_it_is_rotated(
    settings, ledger, tmp_path
) -> None:
    key = ApiKey.new()
    file = tmp_path / "key"
    file.write_text(f"{key.text}\n")
    for given in ({"bootstrap_key": key.text}, {"bootstrap_key_file": str(file)}):
        async for client in served(settings, **given):
            assert (await client.get("/v1/models")).status_code == 401
            assert (await client.get("/v1/models", headers=bearer(key))).status_code == 200
    [record] = ledger.run(keyring.list_keys())[1]
    assert (record.tenant, record.scopes) == ("default", frozenset(Scope))
    ledger.run(keyring.rotate(ApiKey.new(key.id), grace_ms=0))
    async for client in served(settings, bootstrap_key=key.text):
        assert (await client.get("/v1/models", headers=bearer(key))).status_code == 401


def test_openais_own_client_is_served_with_a_key_and_gets_the_reason_otherwise(url, worker) -> None:
    key = issue(worker.ledger, allowance=Allowance(per_minute=1, burst=1))

    def draw(api_key: str):
        with openai.OpenAI(base_url=f"{url}/v1", api_key=api_key, max_retries=0) as sdk:
            return sdk.images.generate(prompt="a red circle")

    with worker:
        assert draw(key.text).data[0].url
        with pytest.raises(openai.AuthenticationError) as refused:
            draw("sk-any")
        assert refused.value.code == "invalid_api_key"
        assert refused.value.response.headers["www-authenticate"] == "Bearer"
        with pytest.raises(openai.RateLimitError) as limited:
            draw(key.text)
    assert limited.value.code == "rate_limit_exceeded"
    headers = limited.value.response.headers
    assert int(headers["retry-after"]) <= 60
    assert headers["x-ratelimit-limit-requests"] == "1"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60


def test_openais_own_client_does_not_knock_again_on_the_same_day(url, worker) -> None:
    key = issue(worker.ledger, allowance=Allowance(per_minute=60, burst=2, step_megapixels=1))
    sdk = openai.OpenAI(base_url=f"{url}/v1", api_key=key.text, max_retries=5)
    with sdk, pytest.raises(openai.RateLimitError) as refused:
        sdk.images.generate(prompt="a", n=8)
    assert refused.value.code == "insufficient_quota"  # a third request would be too many


def test_our_own_client_is_served_with_a_key_and_gets_the_reason_otherwise(url, worker) -> None:
    key = issue(worker.ledger, scopes=frozenset({Scope.READ}))
    with Client(url, api_key=key.text) as client:
        assert client.models().data
        with pytest.raises(ApiError) as refused:
            client.submit("a")
        assert (refused.value.status, refused.value.code) == (403, "insufficient_scope")
    with Client(url) as client, pytest.raises(ApiError) as refused:
        client.models()
    assert (refused.value.status, refused.value.code) == (401, "unauthenticated")


def test_our_own_client_waits_as_long_as_retry_after_says(url, ledger) -> None:
    key = issue(ledger, allowance=Allowance(per_minute=60, burst=1))
    with Client(url, api_key=key.text, retries=Retries(attempts=3, first_s=0.01)) as client:
        for _ in range(3):  # each but the first gets Retry-After: 1
            client.models()


async def test_the_apis_description_says_how_a_key_is_shown(client) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["API key"]["scheme"] == "bearer"
    create = document["paths"]["/v1/generations"]["post"]
    assert create["security"] == [{"API key": []}, {}]
