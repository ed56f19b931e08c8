"""A prediction's webhook receives the prediction, at its start and at its end."""

import base64
from collections.abc import AsyncIterator

import pytest

from latentry.ledger import deliveries
from latentry.settings import Settings
from tests.service.fake import PICTURE, FakeWorker
from tests.service.webhooks.receiver import Receiver

PATH = "/replicate/v1/predictions"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
def settings(settings: Settings, receiver: Receiver) -> Settings:
    return settings.model_copy(update={"webhook_allow": receiver.host})


async def created(client, receiver: Receiver, **more) -> dict:
    body = {"version": "shapes", "input": {"prompt": "a"}, "webhook": receiver.url} | more
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_it_receives_the_prediction_as_it_stood(
    client, worker: FakeWorker, receiver: Receiver
) -> None:
    made = await created(client, receiver)
    lease = worker.claim()
    [started] = await receiver.arrived(1)
    assert (started.notice["id"], started.notice["status"]) == (made["id"], "processing")
    worker.finish(lease)
    _, ended = await receiver.arrived(2)
    assert (ended.notice["status"], ended.notice["model"]) == ("succeeded", "latentry/shapes")
    [url] = ended.notice["output"]
    assert (await client.get(url)).content == PICTURE
    assert started.id != ended.id


async def test_a_filter_and_the_older_field_leave_out_the_start(
    client, worker: FakeWorker, receiver: Receiver
) -> None:
    await created(client, receiver, webhook_events_filter=["completed"])
    worker.finish(worker.claim())
    [first] = await receiver.arrived(1)
    assert first.notice["status"] == "succeeded"
    await created(client, receiver, webhook=None, webhook_completed=receiver.url)
    worker.finish(worker.claim())
    _, second = await receiver.arrived(2)
    assert second.notice["status"] == "succeeded"


async def test_replicates_client_verifies_it(
    client, worker: FakeWorker, receiver: Receiver, ledger
) -> None:
    theirs = pytest.importorskip("replicate.webhook", reason="Replicate's client is not installed")
    key = "whsec_" + base64.b64encode(b"k" * 32).decode()
    ledger.run(deliveries.rotate_secret("default", key, keep_s=0))
    await created(client, receiver, webhook_events_filter=["completed"])
    worker.finish(worker.claim())
    [got] = await receiver.arrived(1)
    secret = theirs.WebhookSigningSecret(key=key)
    body = got.body.decode()
    theirs.Webhooks.validate(headers=got.headers, body=body, secret=secret, tolerance=60)
    with pytest.raises(theirs.InvalidSignatureError):
        theirs.Webhooks.validate(headers=got.headers, body=body + " ", secret=secret)


async def test_our_own_doors_webhooks_are_ours_still(
    client, worker: FakeWorker, receiver: Receiver
) -> None:
    body = {"prompt": "a", "webhook": {"url": receiver.url}}
    assert (await client.post("/v1/generations", json=body)).status_code == 202
    worker.finish(worker.claim())
    [got] = await receiver.arrived(1)
    assert got.notice["type"] == "generation.succeeded"
