"""Clients that are slow, silent, or speak no HTTP, at a gateway behind a real socket."""

import statistics
import time
from contextlib import suppress

import httpx
import pytest

from service.__main__ import allow_connections
from service.http import body_limit, protocol
from tests.hostile.sockets import Wire, problem

ASK = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short here."""
    monkeypatch.setattr(protocol, "HEAD_WITHIN_S", 0.5)
    monkeypatch.setattr(body_limit, "BODY_WITHIN_S", 0.2)


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"NONSENSE / HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nNo colon here\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/generations HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_by_a_problem_and_hung_up_on(url: str, said: bytes) -> None:
    with Wire(url).say(said) as wire:
        status, body, head = problem(wire.hear())
    assert (status, body["code"]) == (400, "malformed_head")
    assert "content-type: application/problem+json" in head
    assert "x-content-type-options: nosniff" in head
    assert body["request_id"] in head


@pytest.mark.parametrize(
    "said",
    [
        b"GET /" + b"a" * 200_000,
        ASK + b"X-Long: " + b"a" * 200_000,
        ASK + b"".join(b"X-%d: 1\r\n" % i for i in range(20_000)),
        b"\r\n" * 100_000,
        CHUNKED + b"1;" + b"a" * 200_000,
        CHUNKED + b"0\r\n" + b"X: 1\r\n" * 50_000,
        CHUNKED + b"0\r\nX: " + b"a" * 200_000,
    ],
    ids=["address", "header", "headers", "lines", "extension", "trailers", "trailer"],
)
def test_a_head_without_end_is_cut_off(url: str, said: bytes) -> None:
    with Wire(url) as wire:
        try:
            wire.say(said)
        except ConnectionError:
            return  # hung up on while we were still talking
        heard = wire.hear()
    if heard:  # else the reset overtook it, or there is an answer under way that it would run into
        status, body, _ = problem(heard)
        assert (status, body["code"]) == (431, "head_too_large")


def test_what_follows_a_body_is_no_header_of_it(url: str) -> None:
    head = (
        b"POST /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    )
    with Wire(url).say(head + b"\r\n1\r\n{\r\n0\r\nX-Request-ID: trailer\r\n\r\n") as wire:
        status, body, _ = problem(wire.hear())
    assert status == 404
    assert body["request_id"] != "trailer"


def test_a_body_in_chunks_of_one_byte_is_read(url: str, worker) -> None:
    body = b'{"prompt": "' + b"a" * 5_000 + b'"}'
    with httpx.Client(base_url=url) as client:
        sent = (bytes([byte]) for byte in body)
        headers = {"Content-Type": "application/json"}
        assert client.post("/v1/generations", content=sent, headers=headers).status_code == 202


@pytest.mark.parametrize("to", [b"websocket", b"h2c"])
def test_an_upgrade_is_not_made(url: str, to: bytes) -> None:
    asks = ASK + b"Connection: Upgrade\r\nUpgrade: " + to + b"\r\n\r\n"
    with Wire(url).say(asks) as wire:
        assert b"200 OK" in wire.socket.recv(65_536)


def test_requests_that_come_at_once_are_answered_in_turn(url: str) -> None:
    last = ASK + b"Connection: close\r\n\r\n"
    with Wire(url).say((ASK + b"\r\n") * 20 + last) as wire:
        assert wire.hear().count(b"200 OK") == 21


def test_a_client_that_pipelines_thousands_of_requests_is_disconnected(url: str) -> None:
    with Wire(url) as wire:
        with suppress(ConnectionError):  # while we are still talking
            wire.say((ASK + b"\r\n") * 3_000)
        assert wire.hear().count(b"200 OK") < 1_000
    assert httpx.get(f"{url}/livez").status_code == 200


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("first", [b"", ASK + b"\r\n"], ids=["new", "used"])
def test_a_head_that_does_not_end_is_not_waited_for(url: str, first: bytes) -> None:
    with Wire(url).say(first) as wire:
        if first:
            assert b"200 OK" in wire.socket.recv(65_536)
        wire.say(b"GET /livez HTTP/1.1\r\nX: ")
        began = time.monotonic()
        status, body, _ = problem(wire.hear())
        assert (status, body["code"]) == (408, "too_slow")
        assert time.monotonic() - began < 5


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", [b"", b"\r\n"])
def test_a_connection_that_says_nothing_is_closed(url: str, said: bytes) -> None:
    with Wire(url).say(said) as wire:
        assert wire.hear() == b""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_end_is_not_waited_for(url: str, length: bytes) -> None:
    head = b"POST /v1/generations HTTP/1.1\r\nHost: localhost\r\n"
    with Wire(url).say(head + length + b"\r\n\r\n1\r\n{") as wire:
        status, body, head = problem(wire.hear())
    assert (status, body["code"]) == (408, "too_slow")
    assert "connection: close" in head


@pytest.mark.usefixtures("impatient")
def test_a_request_that_is_served_does_not_fall_under_the_deadline_for_heads(
    url: str, worker
) -> None:
    with httpx.Client(base_url=url) as client:
        job = client.post("/v1/generations", json={"prompt": "a"}).json()
        held = client.get(f"/v1/generations/{job['id']}", params={"wait": 2})
        assert (held.status_code, held.json()["status"]) == (200, "queued")


def test_one_connection_too_many_gets_a_503_with_retry_after(url: str, monkeypatch) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 0)
    with Wire(url) as wire:
        status, body, head = problem(wire.hear())
    assert (status, body["code"]) == (503, "busy")
    assert "retry-after: " in head


def test_a_thousand_idle_connections_do_not_slow_other_clients(url: str) -> None:
    def p99_s() -> float:
        took = []
        with httpx.Client(base_url=url) as client:
            client.get("/livez")  # the first request makes what all others use
            for _ in range(300):
                began = time.perf_counter()
                assert client.get("/livez").status_code == 200
                took.append(time.perf_counter() - began)
        return statistics.quantiles(took, n=100)[98]

    allow_connections()
    alone = p99_s()
    idle = [Wire(url).say(ASK if i % 2 else b"") for i in range(1_000)]
    loaded = p99_s()
    for wire in idle:
        wire.socket.close()
    print(f"p99 {alone * 1000:.1f} ms alone, {loaded * 1000:.1f} ms with 1,000 idle connections")
    # A machine that is busy with other tests makes either figure larger by a few milliseconds.
    assert loaded < max(2 * alone, alone + 0.05), f"{alone * 1000:.1f} ms, {loaded * 1000:.1f} ms"


def test_a_head_is_what_a_get_would_tell_without_its_body(url: str, worker) -> None:
    with httpx.Client(base_url=url) as client:
        job = client.post("/v1/generations", json={"prompt": "a"}).json()
        for path in ("/livez", "/v1/models", "/openapi.json", job["urls"]["self"]):
            head, whole = client.head(path), client.get(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == whole.headers["content-length"]
        stream = client.head(job["urls"]["events"])
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert client.head("/v1/nothing").status_code == 404
