"""Webhooks as callers and receivers see them: a gateway, a ledger, and receivers on loopback."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import httpx
import pytest
import structlog
from fastapi import FastAPI
from standardwebhooks import Webhook, WebhookVerificationError

from latentry.client.fields import request_of
from latentry.contracts import DeliveryList, Job, JobStatus, ResolvedRequest
from latentry.ledger import Ledger, deliveries
from latentry.settings import Settings
from service.app import create_app
from tests.latentry.ledger.due import make_due
from tests.service.fake import PICTURE, FakeWorker
from tests.service.outbound.url_tricks import HIDDEN, VISIBLE
from tests.service.webhooks.receiver import (
    Huge,
    Received,
    Receiver,
    drip,
    hang_up,
    in_turn,
    nonsense,
    silence,
    status,
)

REQUEST = {"prompt": "a red circle"}
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
def settings(settings: Settings, receiver: Receiver, other: Receiver) -> Settings:
    return settings.model_copy(update={"webhook_allow": f"{receiver.host},{other.host}"})


@pytest.fixture(autouse=True)
def secret(ledger: Ledger) -> None:
    ledger.run(deliveries.rotate_secret("default", SECRET, keep_s=0))


async def create(client: httpx.AsyncClient, receiver: Receiver, *events: str) -> str:
    webhook = {"url": receiver.url} | ({"events": list(events)} if events else {})
    answer = await client.post("/v1/generations", json=REQUEST | {"webhook": webhook})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


async def log_of(client: httpx.AsyncClient, id: str) -> list:
    answer = await client.get(f"/v1/generations/{id}/deliveries")
    assert answer.status_code == 200, answer.text
    return DeliveryList.model_validate_json(answer.content).data


async def settled(
    client: httpx.AsyncClient, id: str, holds: Callable[[object], bool], timeout_s: float = 20
):
    """The job's only delivery, once it is as it should be."""
    async with asyncio.timeout(timeout_s):
        while True:
            log = await log_of(client, id)
            if log and holds(log[0]):
                return log[0]
            await asyncio.sleep(0.02)


def tried(times: int) -> Callable[[object], bool]:
    return lambda delivery: len(delivery.attempts) >= times


def is_done(delivery) -> bool:
    return delivery.status != "waiting"


def verified(received: Received, secret: str = SECRET) -> dict:
    return Webhook(secret).verify(received.body, received.headers)


async def test_a_receiver_gets_the_ended_job_as_get_returns_it(
    client, worker: FakeWorker, receiver: Receiver
) -> None:
    id = await create(client, receiver)
    worker.finish(worker.claim())
    [got] = await receiver.arrived(1)
    notice = verified(got)
    read = (await client.get(f"/v1/generations/{id}")).json()
    assert notice["type"] == "generation.succeeded"
    assert notice["timestamp"]
    for job in (notice["data"], read):
        for image in job["images"]:
            url = image.pop("url")
            assert (await client.get(url)).content == PICTURE
    assert notice["data"] == read
    delivery = await settled(client, id, is_done)
    assert (delivery.id, delivery.status) == (got.id, "delivered")
    assert [attempt.status for attempt in delivery.attempts] == [200]
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == receiver.host
    assert got.headers["accept-encoding"] == "identity"


async def test_a_forged_webhook_fails_verification(client, worker, receiver: Receiver) -> None:
    await create(client, receiver)
    worker.finish(worker.claim())
    [got] = await receiver.arrived(1)
    forged = Received(got.headers, got.body.replace(b"succeeded", b"failed   "))
    with pytest.raises(WebhookVerificationError):
        verified(forged)


async def test_only_requested_events_are_sent(client, worker, receiver) -> None:
    id = await create(client, receiver, "running", "failed")
    lease = worker.claim()
    [got] = await receiver.arrived(1)
    assert got.notice["type"] == "generation.running"
    assert got.notice["data"]["status"] == "running"
    worker.finish(lease)
    assert [delivery.event for delivery in await log_of(client, id)] == ["running"]


async def test_a_canceled_job_is_delivered_too(client, worker, receiver: Receiver) -> None:
    id = await create(client, receiver)
    await client.post(f"/v1/generations/{id}/cancel")
    [got] = await receiver.arrived(1)
    assert verified(got)["data"]["status"] == "canceled"


async def test_a_receiver_that_fails_gets_the_same_webhook_again(
    client, worker, receiver: Receiver, ledger: Ledger
) -> None:
    receiver.answer = in_turn(status(500), status(503), status(404), status(204))
    id = await create(client, receiver)
    worker.finish(worker.claim())
    for times in (1, 2, 3):
        waiting = await settled(client, id, tried(times))
        assert waiting.status == "waiting"
        pause_s = (waiting.next_attempt_at - waiting.attempts[-1].at).total_seconds()
        base_s = (5, 300, 1800)[times - 1]
        assert 0.5 * base_s <= pause_s <= 1.5 * base_s
        make_due(ledger)
    done = await settled(client, id, is_done)
    assert [attempt.status for attempt in done.attempts] == [500, 503, 404, 204]
    assert done.status == "delivered"
    assert done.next_attempt_at is None
    assert set(receiver.ids) == {done.id}
    assert all(verified(got)["data"]["id"] == id for got in receiver.got)


async def test_a_receiver_that_always_fails_is_given_up_after_ten_attempts(
    client, worker, receiver: Receiver, ledger: Ledger
) -> None:
    receiver.answer = status(500)
    id = await create(client, receiver)
    worker.finish(worker.claim())
    for times in range(1, 11):
        given_up = await settled(client, id, tried(times))
        make_due(ledger)
    assert (given_up.status, len(given_up.attempts)) == ("exhausted", 10)
    answer = await client.post(f"/v1/generations/{id}/deliveries/{given_up.id}/redeliver")
    assert answer.status_code == 202
    assert answer.json()["status"] == "waiting"
    again = await settled(client, id, tried(11))
    assert again.status == "waiting"
    assert again.next_attempt_at is not None


async def test_a_redirect_is_not_followed(client, worker, receiver, other: Receiver) -> None:
    receiver.answer = status(302, Location=other.url)
    id = await create(client, receiver)
    worker.finish(worker.claim())
    delivery = await settled(client, id, tried(1))
    assert (delivery.status, delivery.attempts[0].status) == ("waiting", 302)
    assert other.connections == 0


async def test_a_receiver_that_answered_410_gets_no_more_until_a_redelivery(
    client, worker, receiver: Receiver
) -> None:
    receiver.answer = status(410)
    first = await create(client, receiver)
    worker.finish(worker.claim())
    gone = await settled(client, first, is_done)
    assert gone.status == "disabled"
    second = await create(client, receiver)
    worker.finish(worker.claim())
    assert (await settled(client, second, is_done)).status == "disabled"
    assert len(receiver.got) == 1
    receiver.answer = status(200)
    await client.post(f"/v1/generations/{first}/deliveries/{gone.id}/redeliver")
    assert (await settled(client, first, is_done)).status == "delivered"
    third = await create(client, receiver)
    worker.finish(worker.claim())
    assert (await settled(client, third, is_done)).status == "delivered"


async def test_a_huge_answer_is_not_read_on(client, worker, receiver: Receiver) -> None:
    huge = receiver.answer = Huge()
    id = await create(client, receiver)
    worker.finish(worker.claim())
    assert (await settled(client, id, is_done)).status == "delivered"
    assert huge.sent < 8 * 1024 * 1024, "what we read, and what two sockets hold"


async def test_an_answer_that_drips_is_an_answer(client, worker, receiver: Receiver) -> None:
    receiver.answer = drip
    id = await create(client, receiver)
    worker.finish(worker.claim())
    delivery = await settled(client, id, is_done)
    assert delivery.status == "delivered"
    assert delivery.attempts[0].duration_ms < 5_000


@pytest.mark.parametrize("answer", [hang_up, nonsense])
async def test_no_answer_is_tried_again(
    client, worker, receiver: Receiver, ledger: Ledger, answer: Callable[..., Awaitable[None]]
) -> None:
    receiver.answer = in_turn(answer, status(200))
    id = await create(client, receiver)
    worker.finish(worker.claim())
    [attempt] = (await settled(client, id, tried(1))).attempts
    assert (attempt.status, attempt.error) == (None, "no_answer")
    make_due(ledger)
    assert (await settled(client, id, is_done)).status == "delivered"
    assert len(set(receiver.ids)) == 1


async def test_a_silent_receiver_delays_no_other(client, worker, receiver, other) -> None:
    receiver.answer = silence
    for _ in range(12):
        await create(client, receiver)
        worker.finish(worker.claim())
    await receiver.arrived(4)
    began = time.monotonic()
    for count in range(1, 9):
        await create(client, other)
        worker.finish(worker.claim())
        await other.arrived(count)
    assert time.monotonic() - began < 10
    assert receiver.connections == 4, "to one receiver, no more at a time"


async def test_several_secrets_sign_while_they_are_rotated(
    client, worker, receiver: Receiver, ledger: Ledger
) -> None:
    fresh = deliveries.new_secret()
    ledger.run(deliveries.rotate_secret("default", fresh, keep_s=60))
    await create(client, receiver)
    worker.finish(worker.claim())
    [got] = await receiver.arrived(1)
    assert verified(got) == verified(got, fresh)
    assert len(got.headers["webhook-signature"].split()) == 2


async def test_a_name_that_leads_home_is_blocked_and_nothing_is_said_of_it(
    settings: Settings, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(host: str, port: int) -> list:
        return [ip_address(text) for text in HIDDEN[host]]

    monkeypatch.setattr("service.outbound.client.SystemResolver", lambda: resolve)
    async with serving(settings) as client:
        for name in ("localtest.me", "mixed.example.com", "a9fea9fe.nip.io"):
            webhook = {"url": f"https://{name}/hook"}
            answer = await client.post("/v1/generations", json=REQUEST | {"webhook": webhook})
            id = answer.json()["id"]
            worker.finish(worker.claim())
            blocked = await settled(client, id, is_done)
            assert blocked.status == "blocked"
            [attempt] = blocked.attempts
            assert (attempt.status, attempt.error) == (None, "url_not_allowed")
            log = await client.get(f"/v1/generations/{id}/deliveries")
            assert not any(address in log.text for address in HIDDEN[name])


async def test_every_trick_that_shows_is_refused_when_it_is_requested(
    client, worker, receiver: Receiver
) -> None:
    accepted = []
    for trick in VISIBLE:
        webhook = {"url": trick.format(port=receiver.port - 1)}
        answer = await client.post("/v1/generations", json=REQUEST | {"webhook": webhook})
        if answer.status_code != 422:
            accepted.append((trick, answer.text))
        [error] = answer.json()["errors"]
        assert error["pointer"] == "/webhook/url"
    assert accepted == []
    assert (await client.get("/v1/generations")).json()["data"] == []


async def test_a_webhook_is_no_part_of_the_recipe(client, worker, receiver: Receiver) -> None:
    id = await create(client, receiver)
    assert "webhook" not in ResolvedRequest.model_fields
    read = await client.get(f"/v1/generations/{id}")
    assert "s3cret" not in read.text
    assert "webhook" not in worker.claim().record.request.model_dump_json()


async def test_the_webhook_is_part_of_what_an_idempotency_key_covers(
    client, worker, receiver: Receiver
) -> None:
    async def put(**fields: object) -> httpx.Response:
        headers = {"Idempotency-Key": "k"}
        return await client.post("/v1/generations", json=REQUEST | fields, headers=headers)

    first = await put(webhook={"url": receiver.url})
    assert (await put(webhook={"url": receiver.url})).json()["id"] == first.json()["id"]
    for other in ({}, {"webhook": {"url": receiver.url, "events": ["failed"]}}):
        assert (await put(**other)).json()["code"] == "idempotency_conflict"


async def test_neither_the_url_nor_the_secret_is_ever_logged(
    client, worker, receiver: Receiver
) -> None:
    receiver.answer = in_turn(hang_up, status(500))
    with structlog.testing.capture_logs() as logs:
        id = await create(client, receiver)
        worker.finish(worker.claim())
        await settled(client, id, tried(1))
    said = [log for log in logs if log["event"] == "webhook.attempted"]
    assert said[0]["host"] == receiver.host
    assert "s3cret" not in str(logs)
    assert "hook?" not in str(logs)
    assert SECRET not in str(logs)


async def test_deleting_a_job_drops_its_deliveries(
    client, worker, receiver: Receiver, ledger: Ledger
) -> None:
    receiver.answer = status(500)
    id = await create(client, receiver)
    worker.finish(worker.claim())
    await settled(client, id, tried(1))
    assert (await client.delete(f"/v1/generations/{id}")).status_code == 204
    assert ledger.run(deliveries.measure_backlog()) == (0, 0)
    assert ledger.client.keys(f"{ledger.root}*{id}*") == []


async def test_unknown_jobs_and_deliveries_are_not_found(client, worker, receiver) -> None:
    id = await create(client, receiver)
    nothing = "gen_" + "0" * 32
    for method, path, code in (
        ("GET", f"{nothing}/deliveries", "job_not_found"),
        ("POST", f"{nothing}/deliveries/evt_1/redeliver", "job_not_found"),
        ("POST", f"{id}/deliveries/evt_1/redeliver", "delivery_not_found"),
    ):
        answer = await client.request(method, f"/v1/generations/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_operators_see_what_arrives_and_what_waits(
    app: FastAPI, client, worker, receiver: Receiver
) -> None:
    def figure(name: str, **labels: str) -> float:
        return app.state.gateway.metrics.registry.get_sample_value(name, labels) or 0

    receiver.answer = in_turn(status(503), status(200))
    for _ in range(2):
        id = await create(client, receiver)
        worker.finish(worker.claim())
        await settled(client, id, tried(1))
    assert figure("latentry_webhook_attempts_total", answer="5xx") == 1
    assert figure("latentry_webhook_attempts_total", answer="2xx") == 1
    assert figure("latentry_webhook_deliveries_total", status="delivered") == 1


def test_the_sdk_takes_a_webhook() -> None:
    request = request_of("a red circle", {"webhook": {"url": "https://shop.example/"}})
    assert request.webhook is not None
    assert [event.value for event in request.webhook.events] == [
        status.value for status in JobStatus if status.is_terminal
    ]
    assert Job.model_fields.keys().isdisjoint({"webhook"})


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as opened:
            yield opened
