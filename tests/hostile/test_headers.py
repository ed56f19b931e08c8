"""Headers that every response has, and what is not reachable on this port."""

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from tests.hostile.pictures import encoded
from tests.service.fake import FakeWorker

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'"


def routes(app: FastAPI) -> list[tuple[str, str]]:
    def listed(found: list[BaseRoute]) -> list[APIRoute]:
        inside = [
            part
            for route in found
            for part in listed(getattr(getattr(route, "original_router", None), "routes", []))
        ]
        return [route for route in found if isinstance(route, APIRoute)] + inside

    return sorted((m, route.path) for route in listed(app.routes) for m in route.methods)


async def test_every_answer_of_every_route_carries_them(app, client, worker: FakeWorker) -> None:
    known = routes(app)
    assert len(known) > 15
    for method, path in [
        *known,
        ("GET", "/nowhere"),
        ("PUT", "/v1/models"),
        ("GET", "/openapi.json"),
    ]:
        filled = path.replace("{job_id}", "gen_" + "0" * 32).replace("{name}", "swagger-ui.css")
        # No route takes a list: with an empty object some draw, by their defaults.
        answer = await client.request(method, filled, json=[] if method == "POST" else None)
        for name, value in ALWAYS.items():
            assert answer.headers.get(name) == value, (method, path, name)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["content-security-policy"] == NOTHING or path == "/docs"
        assert answer.headers["cache-control"] in ("no-store", "no-cache", "max-age=86400")
        assert answer.headers["x-request-id"]
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers


async def test_the_page_of_docs_may_run_its_own_script_and_no_other(client) -> None:
    answer = await client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "unsafe-inline" not in policy.partition("style-src")[0]


async def test_answers_about_jobs_and_files_are_kept_by_no_cache(client, worker) -> None:
    job = await client.post("/v1/generations", json={"prompt": "a"})
    file = await client.post(
        "/v1/files", content=encoded("PNG"), headers={"Content-Type": "image/png"}
    )
    for path in (job.json()["urls"]["self"], f"/v1/files/{file.json()['id']}/content"):
        assert "no-store" in (await client.get(path)).headers["cache-control"]
    assert job.headers["cache-control"] == file.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
async def test_another_sites_script_gets_no_cors_headers(client, worker, origin: str) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = await client.options("/v1/generations", headers=asks)
    answer = await client.get("/v1/models", headers={"Origin": origin})
    assert preflight.status_code == 405
    for response in (preflight, answer):
        assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/debug", "/admin", "/config", "/.env", "/.git/config", "/v1/keys", "/shutdown",
     "/v1/models/install", "/redoc", "/sdapi/v1/server-kill", "/upload/image", "/file=/etc/passwd"],
)  # fmt: skip
async def test_nothing_is_managed_through_the_port_that_serves(client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await client.request(method, path)
        assert answer.status_code in (404, 405), path
        assert b"latentry_http" not in answer.content


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/json", 200),
        ("APPLICATION/*;q=0.5, text/html", 200),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200),
        ("application/problem+json, application/json", 200),
        ("text/html", 406),
        ("application/xml", 406),
        ("application/json;q=0", 406),
        ("image/png", 406),
        (", ;", 406),
    ],
)
async def test_json_is_sent_only_to_clients_that_accept_it(client, worker, accept, status) -> None:
    answer = await client.get("/v1/models", headers={"Accept": accept})
    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "not_acceptable"


async def test_a_request_whose_answer_is_not_wanted_is_not_taken(client, worker) -> None:
    headers = {"Accept": "image/png"}
    answer = await client.post("/v1/generations", json={"prompt": "a"}, headers=headers)
    assert answer.status_code == 406
    assert (await client.get("/v1/generations")).json()["data"] == []


@pytest.mark.parametrize("given", ["a\r\nX-Evil: 1", "a\nb", "é", "x" * 65])
async def test_nothing_that_a_client_says_becomes_a_header(client, given: str) -> None:
    headers = httpx.Headers([(b"x-request-id", given.encode())])
    answer = await client.get("/livez", headers=headers)
    assert answer.headers["x-request-id"].startswith("req_")
    assert "x-evil" not in answer.headers
