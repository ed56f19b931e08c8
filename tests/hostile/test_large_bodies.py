"""Requests with pictures in them: many at once block nobody, and take little memory."""

import asyncio
import base64
import json
import tracemalloc
from contextlib import ExitStack

import httpx

from latentry.ledger import Ledger, commands
from tests.hostile.pictures import encoded
from tests.hostile.sockets import Wire
from tests.service.fake import FakeWorker

SENDERS = 64
MIB = 1024 * 1024


def body(size: int, **fields: object) -> bytes:
    """A request with a picture of so many bytes, most of which no decoder looks at."""
    picture = encoded("PNG")
    picture += bytes(size - len(picture))
    image = "data:image/png;base64," + base64.b64encode(picture).decode()
    return json.dumps({"prompt": "a red circle", "image": image} | fields).encode()


def test_many_slow_senders_keep_nobody_waiting(url: str, worker: FakeWorker) -> None:
    sent = body(MIB)
    head = (
        "POST /v1/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(sent)}\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(url)) for _ in range(SENDERS)]
        for wire in wires:
            wire.say(head + sent[: MIB // 2])
        assert httpx.get(f"{url}/livez").status_code == 200
        small = httpx.post(f"{url}/v1/generations", json={"prompt": "a red circle"})
        assert small.status_code == 202, small.text
        for wire in wires:
            wire.say(sent[MIB // 2 :])
        assert httpx.get(f"{url}/livez").status_code == 200
        heads = [wire.head() for wire in wires]
    assert {head.split()[1] for head in heads} == {b"202"}
    jobs = httpx.get(f"{url}/v1/generations?limit=100").json()["data"]
    files = {image["file"] for job in jobs if (image := job["request"]["image"])}
    assert len(files) == SENDERS


async def memory_while_waiting(
    client: httpx.AsyncClient, ledger: Ledger, path: str, sent: bytes, headers: dict[str, str]
) -> tuple[asyncio.Task[httpx.Response], int, int]:
    """A request whose job waits, and the bytes that are held for it then and were at most."""

    async def pieces():
        for at in range(0, len(sent), 64 * 1024):
            yield sent[at : at + 64 * 1024]

    headers = headers | {"Content-Length": str(len(sent))}
    tracemalloc.start()
    try:
        posting = asyncio.create_task(client.post(path, content=pieces(), headers=headers))
        while not (await asyncio.to_thread(ledger.run, commands.list_models()))[0].waiting:
            pass
        for _ in range(3):  # answered after the job that waits
            await client.get("/v1/generations")
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return posting, held, peak


async def test_a_form_is_in_memory_four_times_at_most_and_not_while_a_client_waits(
    client, worker: FakeWorker, ledger: Ledger
) -> None:
    head = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n'
    picture = encoded("PNG")
    sent = head.format("prompt").encode() + b"a\r\n" + head.format("image").encode()
    sent += picture + bytes(6 * MIB - len(picture)) + b"\r\n--b--"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    await client.post("/v1/images/edits", content=b"--b--", headers=headers)  # what is made once
    await client.get("/v1/generations")
    posting, held, peak = await memory_while_waiting(
        client, ledger, "/v1/images/edits", sent, headers
    )
    worker.finish(worker.claim())
    assert (await posting).status_code == 200
    assert peak <= 4 * len(sent) + 4 * MIB  # and for all that has nothing to do with the body
    assert held < len(sent) / 4


async def test_a_body_is_in_memory_three_times_at_most_and_not_while_a_client_waits(
    client, worker: FakeWorker, ledger: Ledger
) -> None:
    sent = body(6 * MIB)

    plain = {"Content-Type": "application/json"}
    headers = plain | {"Prefer": "wait=30"}
    await client.post("/v1/generations", content=body(1_000), headers=plain)
    worker.finish(worker.claim())
    posting, held, peak = await memory_while_waiting(
        client, ledger, "/v1/generations", sent, headers
    )
    worker.finish(worker.claim())
    assert (await posting).status_code == 200
    assert peak <= 3 * len(sent) + MIB  # for all that has nothing to do with the body
    assert held < len(sent) / 4
