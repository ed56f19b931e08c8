"""Which URLs are allowed: by their text, by the addresses of the host, checked at the socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx
import pytest

from latentry.errors import ConfigurationError, NoAnswer, UrlNotAllowed
from latentry.settings import Settings
from service.outbound import Outbound, Rules
from service.outbound.addresses import Address, is_public
from tests.service.outbound.url_tricks import HIDDEN, OPEN, VISIBLE

PUBLIC = ip_address("93.184.216.34")
TLS = httpx.create_ssl_context(trust_env=False)


class Canary:
    """Listens on every loopback address at one port, and counts who comes."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        four = await asyncio.start_server(self._seen, "0.0.0.0", 0)
        self.port = four.sockets[0].getsockname()[1]
        self._servers.append(four)
        if socket.has_ipv6:
            self._servers.append(await asyncio.start_server(self._seen, "::1", self.port))

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()

    async def _seen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        await reader.read(1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


class Names:
    """A name server: what it says of each name, one answer after the other."""

    def __init__(self, **answers: Iterable[list[str]]) -> None:
        self.lookups: list[str] = []
        self._answers = {name: iter(said) for name, said in answers.items()}

    async def __call__(self, host: str, port: int) -> list[Address]:
        self.lookups.append(host)
        return [ip_address(text) for text in next(self._answers[host])]


class Wire(httpcore.AnyIOBackend):
    """The real network below the guard, except for public addresses, which do not respond here."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    async def connect_tcp(self, host: str, *rest: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if is_public(ip_address(host)):
            raise httpcore.ConnectError
        return await super().connect_tcp(host, *rest, **more)


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    listening = Canary()
    await listening.start()
    yield listening
    await listening.stop()


@pytest.fixture
def rules(canary: Canary) -> Rules:
    """The canary's port is open, so that only its address is a reason to refuse it."""
    return Rules(ports=frozenset({443, canary.port}))


async def post(url: str, rules: Rules, names: Names, wire: Wire | None = None) -> int:
    outbound = Outbound(rules, names, backend=wire or Wire(), tls=TLS)
    return await outbound.post(url, b"{}", {})


def allowing(entries: str) -> Rules:
    return Rules.of(Settings(webhook_allow=entries))


def test_the_corpus_is_large_and_without_repetition() -> None:
    assert len({*VISIBLE, *HIDDEN}) == len(VISIBLE) + len(HIDDEN) >= 200


async def test_no_trick_that_shows_gets_past_the_reader(canary: Canary, rules: Rules) -> None:
    names, wire = Names(), Wire()
    through = []
    for trick in VISIBLE:
        try:
            await post(trick.format(port=canary.port), rules, names, wire)
        except UrlNotAllowed:
            continue
        through.append(trick)  # pragma: no cover
    assert through == []
    assert (names.lookups, wire.connected, canary.visits) == ([], [], 0)


async def test_no_name_that_leads_home_is_dialled(canary: Canary, rules: Rules) -> None:
    wire = Wire()
    for name, addresses in HIDDEN.items():
        host = rules.read(f"https://{name}/").host
        names = Names(**{host: [addresses]})
        with pytest.raises(UrlNotAllowed):
            await post(f"https://{name}:{canary.port}/", rules, names, wire)
        assert names.lookups == [host]
    assert (wire.connected, canary.visits) == ([], 0)


async def test_a_name_that_changes_its_mind_is_dialled_where_it_was_vetted(
    canary: Canary, rules: Rules
) -> None:
    names = Names(**{"flip.example.com": [[str(PUBLIC)], ["127.0.0.1"], ["127.0.0.1"]]})
    wire = Wire()
    with pytest.raises(NoAnswer):  # resolved once, and connected to that address
        await post(f"https://flip.example.com:{canary.port}/", rules, names, wire)
    assert (names.lookups, wire.connected) == (["flip.example.com"], [str(PUBLIC)])
    with pytest.raises(UrlNotAllowed):
        await post(f"https://flip.example.com:{canary.port}/", rules, names, wire)
    assert canary.visits == 0


async def test_a_connection_that_ends_elsewhere_is_hung_up(canary: Canary) -> None:
    class Diverted(httpcore.AnyIOBackend):
        async def connect_tcp(self, host: str, port: int, *_: Any) -> httpcore.AsyncNetworkStream:
            return await super().connect_tcp("127.0.0.1", port)

    names = Names(**{"example.com": [[str(PUBLIC)]]})
    outbound = Outbound(allowing(f"example.com:{canary.port}"), names, backend=Diverted(), tls=TLS)
    with pytest.raises(NoAnswer):
        await outbound.post(f"http://example.com:{canary.port}/", b"{}", {})


@pytest.mark.parametrize("url", OPEN)
def test_ordinary_urls_are_read(url: str) -> None:
    target = Rules().read(url)
    assert (target.scheme, target.port, target.is_trusted) == ("https", 443, False)


def test_a_url_is_read_into_what_is_dialled() -> None:
    target = Rules().read("HTTPS://Bücher.Example.com?a=1".replace("B", "b"))
    assert (target.host, target.path) == ("xn--bcher-kva.example.com", "/?a=1")
    assert target.authority == "xn--bcher-kva.example.com"


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}/hook"),
        ("[::1]:{port}", "http://[::1]:{port}/hook"),
        ("receiver:{port}", "http://receiver:{port}/hook"),
    ],
)
async def test_a_receiver_that_the_operator_names_is_reached(
    canary: Canary, allow: str, url: str
) -> None:
    names = Names(receiver=[["127.0.0.1"]])
    names._answers |= {host: iter([[host]]) for host in ("127.0.0.1", "::1")}
    rules = allowing(allow.format(port=canary.port))
    assert await post(url.format(port=canary.port), rules, names) == 200
    assert canary.visits == 1


async def test_naming_a_receiver_opens_nothing_else(canary: Canary) -> None:
    rules = allowing(f"receiver:1,127.0.0.2:{canary.port},10.0.0.0/8")
    names, wire = Names(), Wire()
    for host in ("127.0.0.1", "receiver", "localhost", "[::1]", "10.0.0.1"):
        for scheme in ("http", "https"):
            with pytest.raises(UrlNotAllowed):
                await post(f"{scheme}://{host}:{canary.port}/", rules, names, wire)
    assert (names.lookups, wire.connected, canary.visits) == ([], [], 0)


async def test_a_network_that_the_operator_names_is_as_good_as_public(canary: Canary) -> None:
    rules = Rules(frozenset({canary.port}), networks=allowing("127.0.0.0/8").networks)
    assert rules.allows(rules.read(f"https://a.example:{canary.port}"), ip_address("127.0.0.1"))
    names = Names(**{"a.example": [["127.0.0.1"]], "127.0.0.1": [["127.0.0.1"]]})
    for host in ("a.example", "127.0.0.1"):
        with pytest.raises(NoAnswer):  # it is reached, and speaks no TLS
            await post(f"https://{host}:{canary.port}/", rules, names)
    assert canary.visits == 2


@pytest.mark.parametrize("entry", ["receiver", "10.0.0.1/8", "http://a:1", "a:99999999", "*:80"])
def test_an_entry_that_opens_nothing_stops_the_start(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="LATENTRY_WEBHOOK_ALLOW"):
        allowing(entry)
    with pytest.raises(ConfigurationError, match="LATENTRY_WEBHOOK_PORTS"):
        Rules.of(Settings(webhook_ports="https"))


@pytest.mark.parametrize("text", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "2a00::1"])
def test_public_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))
