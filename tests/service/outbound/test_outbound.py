"""The guarded request itself: what is sent, over which connection, and for how long at most."""

import asyncio
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from latentry.errors import ConfigurationError, NoAnswer
from latentry.settings import Settings
from service.outbound import Outbound, Rules
from service.outbound.addresses import Address
from service.outbound.network import SystemResolver
from tests.service.webhooks.receiver import (
    Huge,
    Receiver,
    drip,
    drip_head,
    hang_up,
    silence,
    status,
)
from tests.tls import Authority, tls_front


async def at_home(host: str, port: int) -> list[Address]:
    return [ip_address("127.0.0.1")]


def outbound(receiver: Receiver, *, request_s: float = 15) -> Outbound:
    return Outbound(Rules.of(Settings(webhook_allow=receiver.host)), at_home, request_s=request_s)


@pytest.mark.parametrize("answer", [silence, drip_head])
async def test_a_request_ends_in_time_however_slow_the_receiver(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async with Receiver(answer) as receiver:
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            await outbound(receiver, request_s=0.3).post(receiver.url, b"{}", {})
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 1_000),
    ],
    ids=["interim", "headers"],
)
async def test_an_answer_that_never_comes_is_read_no_further_than_a_long_one(
    head: bytes, part: bytes
) -> None:
    endless = Huge(head, part)
    async with Receiver(endless) as receiver:
        with pytest.raises(NoAnswer):
            await outbound(receiver, request_s=3).post(receiver.url, b"{}", {})
    assert endless.sent < 8 * 1024 * 1024, "what we read, and what two sockets hold"


async def test_a_status_that_came_late_is_an_answer_all_the_same() -> None:
    async with Receiver(drip) as receiver:
        assert await outbound(receiver, request_s=0.5).post(receiver.url, b"{}", {}) == 200


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        await outbound(receiver).post(receiver.url, b"{}", {})
        assert (receiver.connections, proxy.connections) == (1, 0)


async def test_every_exchange_has_a_connection_of_its_own(receiver: Receiver) -> None:
    client = outbound(receiver)
    for _ in range(3):
        await client.post(receiver.url, b"{}", {})
    assert receiver.connections == 3
    receiver.answer = hang_up
    with pytest.raises(NoAnswer):
        await client.post(receiver.url, b"{}", {})
    assert receiver.connections == 4, "and is not tried twice"


async def test_the_second_kind_of_address_is_dialled_where_the_first_leads_nowhere(
    receiver: Receiver,
) -> None:
    async def both(host: str, port: int) -> list[Address]:
        return [ip_address("::1"), ip_address("127.0.0.1")]

    rules = Rules.of(Settings(webhook_allow=f"shop:{receiver.port}"))
    assert await Outbound(rules, both).post(f"http://shop:{receiver.port}/", b"{}", {}) == 200


async def test_tls_is_spoken_with_the_name_and_not_the_address(tmp_path: Path) -> None:
    server, ours = certificate(tmp_path, "shop.example")
    seen: list[str | None] = []
    server.sni_callback = lambda _, name, __: seen.append(name)
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    rules = Rules(frozenset({port}), networks=(ip_network("127.0.0.0/8"),))
    client = Outbound(rules, at_home, tls=ours)
    try:
        assert await client.post(f"https://Shop.example:{port}/a?b", b"{}", {}) == 204
        assert seen == ["shop.example"]
        assert heads[0].startswith(b"POST /a?b HTTP/1.1\r\n")
        assert f"Host: shop.example:{port}\r\n".encode() in heads[0]
        with pytest.raises(NoAnswer):  # a certificate for another host
            await client.post(f"https://other.example:{port}/", b"{}", {})
        with pytest.raises(NoAnswer):  # and one that no authority signed
            await Outbound(rules, at_home).post(f"https://shop.example:{port}/", b"{}", {})
    finally:
        listening.close()
        await listening.wait_closed()


async def test_an_authority_of_ones_own_may_sign_for_receivers(
    receiver: Receiver, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with tls_front(receiver.port, authority.sign("DNS:localhost")) as front:
        url, allow = f"https://localhost:{front.port}/", f"localhost:{front.port}"
        with pytest.raises(NoAnswer):
            await Outbound.open(Settings(webhook_allow=allow)).post(url, b"{}", {})
        assert front.received == 0
        settings = Settings(webhook_allow=allow, webhook_ca_file=str(authority.file))
        assert await Outbound.open(settings).post(url, b"{}", {}) == 200


def test_a_file_of_authorities_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LATENTRY_WEBHOOK_CA_FILE cannot be read"):
        Outbound.open(Settings(webhook_ca_file=str(tmp_path)))


async def test_names_are_looked_up_in_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve = SystemResolver()
    assert ip_address("127.0.0.1") in await resolve("localhost", 1)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="unknown host"):
        await resolve("shop.example", 1)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server of this name, and for who trusts it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    made += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(made, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))


@pytest.fixture
async def receiver():
    async with Receiver(status(200)) as listening:
        yield listening
