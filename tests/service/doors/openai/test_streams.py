"""Streams: OpenAI's events, what is said while nothing comes, and how they end."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from latentry.errors import OutOfMemory
from latentry.ledger import commands
from service.doors.openai import streaming
from tests.hostile.pictures import encoded
from tests.service.fake import PICTURE, FakeWorker

PATH, EDITS = "/v1/images/generations", "/v1/images/edits"
PHOTO = encoded("PNG", size=(128, 128))
PARTIAL = {
    *("type", "b64_json", "created_at", "size", "quality", "background", "output_format"),
    "partial_image_index",
}
COMPLETED = (PARTIAL - {"partial_image_index"}) | {"usage", "seed"}


@dataclass(frozen=True)
class Sent:
    """One event, or a comment."""

    name: str = ""
    data: Any = None
    comment: str = ""


def read(text: str) -> Iterator[Sent]:
    for block in text.split("\n\n"):
        if block.startswith(":"):
            yield Sent(comment=block[2:])
        elif block:
            name, data = block.split("\n")
            assert name.startswith("event: ")
            assert data.startswith("data: ")
            yield Sent(name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))


async def claimed(ledger, worker: FakeWorker) -> Any:
    while not (found := await asyncio.to_thread(ledger.run, commands.list_models()))[0].waiting:
        pass
    assert found
    return worker.claim()


def test_openais_client_sees_an_image_on_its_way_and_finished(
    sdk: openai.OpenAI, worker: FakeWorker, showing, made
) -> None:
    with sdk.images.generate(prompt="a", stream=True, partial_images=2) as stream:
        lease = worker.claim()
        # A preview is not repeated for who comes late: the stream has to be there.
        events = iter(stream)
        worker.show(lease, 8)
        first = next(events)
        worker.show(lease, 16)
        second = next(events)
        worker.show(lease, 24)
        worker.draw(lease)
        worker.settle(lease)
        [last] = list(events)
    for number, event in enumerate((first, second)):
        assert event.type == "image_generation.partial_image"
        assert event.partial_image_index == number
        assert base64.b64decode(event.b64_json) == PICTURE
        assert event.output_format == "jpeg"
    assert last.type == "image_generation.completed"
    assert base64.b64decode(last.b64_json) == PICTURE
    assert (last.size, last.quality, last.output_format) == ("128x128", "medium", "png")
    assert last.usage.total_tokens == last.usage.output_tokens == 410
    assert last.usage.input_tokens_details.text_tokens == 0
    assert (made().preview_interval, made().preview_size) == (8, 512)


def test_an_edit_streams_too(sdk: openai.OpenAI, worker: FakeWorker, showing, made) -> None:
    with (
        worker,
        sdk.images.edit(
            image=PHOTO, prompt="a", stream=True, partial_images=1, quality="low", n=2
        ) as stream,
    ):
        events = list(stream)
    assert [event.type for event in events] == ["image_edit.completed"] * 2
    assert {event.index for event in events} == {0, 1}
    # 0.8 of its steps are made, and it is shown in the middle of those.
    assert (made().num_inference_steps, made().preview_interval) == (12, 4)


async def test_the_asynchronous_client_streams_too(url: str, worker: FakeWorker) -> None:
    with worker:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as client:
            stream = await client.images.generate(prompt="a", stream=True)
            assert [event.type async for event in stream] == ["image_generation.completed"]


async def test_events_have_openais_names_and_fields_and_no_other(
    client, worker: FakeWorker, showing, ledger
) -> None:
    body = {"prompt": "a", "stream": True, "partial_images": 3, "safety_identifier": "u…1"}
    posting = asyncio.create_task(client.post(PATH, json=body))
    lease = await claimed(ledger, worker)
    await followed(client)
    for step in (6, 12, 18, 24):
        worker.show(lease, step)
        await settled(client, worker)
    worker.draw(lease)
    worker.settle(lease)
    answer = await asyncio.wait_for(posting, 20)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = list(read(answer.text))
    assert [one.comment for one in found if one.comment] == ["queued, 0 before it", "running"]
    partial = [one for one in found if one.name == "image_generation.partial_image"]
    assert 1 <= len(partial) <= 3  # of those that come at once the latest alone is kept
    assert all(set(one.data) == PARTIAL for one in partial)
    numbers = [one.data["partial_image_index"] for one in partial]
    assert numbers == list(range(len(partial)))
    [last] = [one for one in found if one.name == "image_generation.completed"]
    assert set(last.data) == COMPLETED | {"safety_identifier"}
    assert last.data["safety_identifier"] == "u…1"
    assert all(one.data["type"] == one.name for one in found if one.name)


async def followed(client) -> None:
    """The gateway's stream has subscribed."""
    hub = client._transport.app.state.gateway.event_hub
    while not hub._subscriptions:
        await client.get("/readyz")


async def settled(client, worker: FakeWorker) -> None:
    """What was published so far has been passed on."""
    hub = client._transport.app.state.gateway.event_hub
    while any(one._transient for group in hub._subscriptions.values() for one in group):
        await client.get("/readyz")
    await client.get("/readyz")


async def test_each_of_several_images_completes_by_itself(client, worker: FakeWorker) -> None:
    with worker:
        answer = await client.post(PATH, json={"prompt": "a", "stream": True, "n": 3, "seed": 5})
    done = [one.data for one in read(answer.text) if one.name]
    assert [(one["index"], one["seed"]) for one in done] == [(0, 5), (1, 6), (2, 7)]
    single = await whole(client, worker, {"prompt": "a", "n": 3})
    total = sum(one["usage"]["total_tokens"] for one in done)
    assert total == single["usage"]["total_tokens"]


async def whole(client, worker: FakeWorker, body: dict) -> dict:
    posting = asyncio.create_task(client.post(PATH, json=body))
    while not (leases := worker.ledger.run(commands.claim("fake", ["shapes"], room=1, lease_s=9))):
        await client.get("/readyz")
    worker.finish(leases[0])
    return (await posting).json()


async def test_a_stream_that_waits_says_so(client, worker: FakeWorker, ledger, monkeypatch) -> None:
    monkeypatch.setattr(streaming, "KEEPALIVE_S", 0.01)
    await client.post("/v1/generations", json={"prompt": "another"})
    lines: list[str] = []
    await client.post("/v1/generations", json={"prompt": "another"})
    sent = stream_of(client, {"prompt": "a", "stream": True})
    async for block in sent:
        lines.append(block)
        if len(lines) == 3:
            for _ in range(3):
                worker.finish(worker.claim())
    comments = [line for line in lines if line.startswith(":")]
    assert comments[:3] == [": queued, 2 before it"] * 3
    assert lines[-1].startswith("event: image_generation.completed")


async def stream_of(client, body: dict, **more: Any):
    """The blocks of a stream as they come: httpx's own transport would collect them."""
    blocks: asyncio.Queue[str | None] = asyncio.Queue()
    raw = json.dumps(body).encode()
    bodies = [{"type": "http.request", "body": raw, "more_body": False}]
    left = more.get("left") or asyncio.Event()
    text = ""

    async def receive() -> dict:
        if bodies:
            return bodies.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        nonlocal text
        text += message.get("body", b"").decode()
        *complete, text = text.split("\n\n")
        for block in complete:
            blocks.put_nowait(block)

    scope = {
        "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "server": ("gateway", 80), "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
        "headers": [
            (b"host", b"gateway"), (b"content-type", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
            *more.get("headers", ()),
        ],
    }  # fmt: skip
    running = asyncio.create_task(client._transport.app(scope, receive, send))
    running.add_done_callback(lambda _: blocks.put_nowait(None))
    while (block := await asyncio.wait_for(blocks.get(), 20)) is not None:
        yield block
    await running


async def test_a_job_that_fails_after_the_start_is_an_error_event(client, worker) -> None:
    worker.fails_with = OutOfMemory()
    with worker:
        answer = await client.post(PATH, json={"prompt": "a", "stream": True})
    assert answer.status_code == 200
    *_, last = read(answer.text)
    assert (last.name, last.data["type"]) == ("error", "error")
    assert set(last.data["error"]) == {"message", "type", "param", "code"}
    assert last.data["error"]["code"] == "out_of_memory"


def test_openais_client_raises_what_the_event_says(sdk: openai.OpenAI, worker) -> None:
    worker.fails_with = OutOfMemory()
    with worker, pytest.raises(openai.APIError) as failure:
        list(sdk.images.generate(prompt="a", stream=True))
    assert failure.value.code == "out_of_memory"


async def test_a_picture_that_is_gone_is_an_error_event_and_no_half_of_an_event(
    client, worker
) -> None:
    lost = asyncio.create_task(client.post(PATH, json={"prompt": "a", "stream": True}))
    while not (leases := worker.ledger.run(commands.claim("fake", ["shapes"], room=1, lease_s=9))):
        await client.get("/readyz")
    image = worker.draw(leases[0])
    worker.storage.delete(image.key)
    worker.settle(leases[0])
    *_, last = read((await lost).text)
    assert (last.name, last.data["error"]["code"]) == ("error", "file_not_found")


async def test_what_is_refused_before_the_start_has_its_status(client, worker) -> None:
    answer = await client.post(PATH, json={"prompt": "a", "stream": True, "model": "dreams"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    answer = await client.post(PATH, json={"prompt": "a", "stream": True, "partial_images": 2})
    assert answer.json()["error"]["param"] == "partial_images"
    assert (await client.get("/v1/generations")).json()["data"] == []


def test_a_client_that_leaves_its_stream_cancels_the_job(url: str, worker, jobs) -> None:
    with httpx.stream("POST", f"{url}{PATH}", json={"prompt": "a", "stream": True}) as answer:
        next(answer.iter_lines())
    while jobs()[0].state != "canceled":
        pass


def test_with_an_idempotency_key_it_does_not_and_comes_back(url: str, worker, jobs) -> None:
    asked = {"json": {"prompt": "a", "stream": True}, "headers": {"Idempotency-Key": "k1"}}
    with httpx.stream("POST", f"{url}{PATH}", **asked) as answer:
        next(answer.iter_lines())
    with worker:
        again = httpx.post(f"{url}{PATH}", **asked, timeout=20)
    *_, last = read(again.text)
    assert last.name == "image_generation.completed"
    assert [job.state for job in jobs()] == ["succeeded"]


async def test_a_gateway_that_stops_ends_its_streams_with_an_error(
    app, client, worker, jobs
) -> None:
    posting = asyncio.create_task(client.post(PATH, json={"prompt": "a", "stream": True}))
    await followed(client)
    app.state.gateway.stop()
    *_, last = read((await asyncio.wait_for(posting, 20)).text)
    assert (last.name, last.data["error"]["code"]) == ("error", "shutting_down")
    assert jobs()[0].state == "canceled"


async def test_a_job_that_is_deleted_meanwhile_ends_its_stream(client, worker, jobs) -> None:
    posting = asyncio.create_task(client.post(PATH, json={"prompt": "a", "stream": True}))
    await followed(client)
    await client.delete(f"/v1/generations/{jobs()[0].ref.id}")
    *_, last = read((await asyncio.wait_for(posting, 20)).text)
    assert last.name == "error"


async def test_the_images_come_one_after_the_other_from_storage(client, worker, app) -> None:
    storage, held = app.state.gateway.storage, []
    get = type(storage).get

    def counted(self, key: str) -> bytes:
        held.append(key)
        return get(self, key)

    with pytest.MonkeyPatch.context() as patch, worker:
        patch.setattr(type(storage), "get", counted)
        body = {"prompt": "a", "n": 4, "response_format": "b64_json"}
        answer = await client.post(PATH, json=body)
    data = answer.json()["data"]
    assert [base64.b64decode(one["b64_json"]) for one in data] == [PICTURE] * 4
    assert len(held) == len(set(held)) == 4
