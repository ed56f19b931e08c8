"""Alive, ready, and what happens while the ledger is away."""

import signal
import time

import httpx
import pytest
from pydantic import SecretStr

from service.app import create_app
from tests.valkey import Valkey


async def test_a_gateway_with_a_ledger_is_alive_and_ready(client) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_a_gateway_that_stops_is_alive_but_not_ready(app, client) -> None:
    app.state.gateway.stop()
    assert (await client.get("/livez")).status_code == 200
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")


@pytest.fixture
def own_valkey(tmp_path):
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("fate", ["killed", "frozen"])
async def test_without_its_ledger_it_says_so_soon_and_recovers(settings, own_valkey, fate) -> None:
    app = create_app(settings.model_copy(update={"redis_url": SecretStr(own_valkey.url)}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g") as client,
    ):
        assert (await client.get("/readyz")).status_code == 200
        if fate == "killed":
            own_valkey.kill()
        else:
            own_valkey.process.send_signal(signal.SIGSTOP)
        for method, path in (
            ("POST", "/v1/generations"),
            ("GET", "/v1/generations"),
            ("GET", "/v1/generations/gen_" + "0" * 32),
            ("GET", "/v1/models"),
            ("GET", "/readyz"),
        ):
            began = time.monotonic()
            json = {"prompt": "a"} if method == "POST" else None
            answer = await client.request(method, path, json=json)
            assert time.monotonic() - began < 4
            assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert (await client.get("/livez")).status_code == 200
        if fate == "killed":
            own_valkey.start()
        else:
            own_valkey.process.send_signal(signal.SIGCONT)
        while (await client.get("/readyz")).status_code != 200:
            pass
