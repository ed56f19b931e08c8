"""Alive, ready, and what happens while the ledger is away."""

import asyncio
import signal
import time

import httpx
import pytest
from pydantic import SecretStr

from latentry.ledger import commands
from service.app import create_app
from tests.latentry.ledger.factory import card
from tests.valkey import Valkey


async def test_a_gateway_with_a_ledger_is_alive_and_ready(client) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_a_gateway_without_workers_is_ready_and_says_that_nobody_draws(
    app, client, ledger
) -> None:
    async def found() -> tuple[int, bool, int]:
        ready = await client.get("/readyz")
        made = await client.post("/v1/generations", json={"prompt": "a frog"})
        if made.status_code == 503:
            assert made.json()["code"] == "no_model"
            assert int(made.headers["retry-after"]) > 0
        return ready.status_code, ready.json()["can_draw"], made.status_code

    assert await found() == (200, False, 503), "none yet, or none that has loaded its first model"
    ledger.run(commands.register_model(card()))
    ledger.run(commands.heartbeat("fake", ["shapes"], ttl_s=60))
    await app.state.gateway.catalogue.read()
    assert await found() == (200, True, 202)
    ledger.run(commands.heartbeat("fake", [], ttl_s=60))
    await app.state.gateway.catalogue.read()
    assert await found() == (200, False, 202), "it was there lately: the job waits"


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
        began = time.monotonic()
        asked = [client.post("/v1/generations", json={"prompt": "a"})]
        paths = ("/v1/generations", "/v1/generations/gen_" + "0" * 32, "/v1/models", "/readyz")
        asked += [client.get(path) for path in paths]
        alive, *answers = await asyncio.gather(client.get("/livez"), *asked)
        assert time.monotonic() - began < 4
        assert alive.status_code == 200
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        if fate == "killed":
            own_valkey.start()
        else:
            own_valkey.process.send_signal(signal.SIGCONT)
        while (await client.get("/readyz")).status_code != 200:
            pass


@pytest.mark.parametrize(
    "rules", ["-@scripting", "-set", "resetchannels", "resetkeys"], ids=lambda rule: rule.strip("-")
)
async def test_a_redis_user_without_a_permission_is_a_sentence_and_no_crash(
    settings, own_valkey, rules
) -> None:
    with own_valkey.client as admin:
        whole = ("reset", "on", ">pw", "~*", "&*", "+@all")
        admin.execute_command("ACL", "SETUSER", "restricted", *whole, rules)
    url = SecretStr(f"redis://restricted:pw@127.0.0.1:{own_valkey.port}/0")
    app = create_app(settings.model_copy(update={"redis_url": url}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_misconfigured")
        assert "denies its user" in answer.json()["detail"]
        assert (await client.get("/v1/models")).status_code in (200, 503)
        assert (await client.get("/livez")).status_code == 200


async def test_a_gateway_that_may_no_longer_listen_is_not_ready(settings, own_valkey) -> None:
    with own_valkey.client as admin:
        whole = ("reset", "on", ">pw", "~*", "&*", "+@all")
        admin.execute_command("ACL", "SETUSER", "restricted", *whole, "-subscribe")
        url = SecretStr(f"redis://restricted:pw@127.0.0.1:{own_valkey.port}/0")
        app = create_app(settings.model_copy(update={"redis_url": url}))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g") as client,
        ):
            while (answer := await client.get("/readyz")).status_code == 200:
                pass  # the hub has not subscribed yet
            assert answer.json()["code"] == "ledger_misconfigured"
            admin.execute_command("ACL", "SETUSER", "restricted", "+subscribe")
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0)  # without waiting for Redis, `get` lets nobody else run
