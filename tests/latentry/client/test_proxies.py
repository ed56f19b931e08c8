"""Proxies of the environment, certificates, and what a user is told of them."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from latentry.client import ApiError, AsyncClient, Client, ProxyFailed, Retries, TlsFailed
from latentry.contracts import ModelList
from latentry.errors import ConfigurationError
from latentry.proxies import proxy_for, read_proxies
from tests.latentry.client.conftest import Caller
from tests.latentry.client.stub import answer, serving
from tests.tls import Authority, tls_front
from tests.valkey import free_port

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def service(scope, receive, send) -> None:
    """A service with no models."""
    await answer(send, 200, "application/json", ModelList(data=[]).model_dump_json().encode())


class Forwarder(BaseHTTPRequestHandler):
    """An HTTP proxy that knows one service, whatever its name."""

    server: "ProxyServer"

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        if self.server.refuses:
            self.send_error(self.server.refuses)
            return
        found = httpx.get(self.server.target + httpx.URL(self.path).path, trust_env=False)
        self.send_response(found.status_code)
        self.send_header("Content-Length", str(len(found.content)))
        self.end_headers()
        self.wfile.write(found.content)

    def do_CONNECT(self) -> None:
        self.server.seen.append(self.path)
        self.send_error(self.server.refuses or 502)

    def log_message(self, *_: object) -> None:
        pass


class ProxyServer(ThreadingHTTPServer):
    def __init__(self, target: str, refuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Forwarder)
        self.target, self.refuses, self.seen = target, refuses, []
        self.address = f"127.0.0.1:{self.server_port}"


@contextmanager
def forwarding(target: str, refuses: int = 0) -> Iterator[ProxyServer]:
    with ProxyServer(target, refuses) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    with serving(service) as base_url:
        yield base_url


class Models:
    """One call of either client, on the network."""

    def __init__(self, kind: type[Client] | type[AsyncClient]) -> None:
        self.kind = kind

    async def __call__(self, url: str) -> ModelList:
        made = self.kind(url, retries=Retries(attempts=1))
        if isinstance(made, Client):
            with made as client:
                return client.models()
        async with made as client:
            return await client.models()


@pytest.fixture(params=[Client, AsyncClient])
def models(request: pytest.FixtureRequest) -> Models:
    return Models(request.param)


@pytest.mark.parametrize(
    "proxy",
    ["socks5://127.0.0.1:{}", "socks4://127.0.0.1:{}", "http://127.0.0.1:{}", "127.0.0.1:{}"],
)
async def test_this_machine_is_reached_without_any_proxy(models, url, monkeypatch, proxy) -> None:
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.format(free_port()))
    assert (await models(url)).data == []
    assert (await models(url.replace("127.0.0.1", "localhost"))).data == []


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_another_machine_is_reached_through_the_proxy(
    models, url, monkeypatch, scheme
) -> None:
    with forwarding(url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", scheme + proxy.address)
        assert (await models("http://gateway.test")).data == []
        assert proxy.seen == ["http://gateway.test/v1/models"]


async def test_a_socks_proxy_without_its_extra_is_said_to_need_it(models, monkeypatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://user:word@127.0.0.1:{free_port()}")
    with pytest.raises(ConfigurationError, match=r"ALL_PROXY .*pip install 'httpx\[socks\]'") as no:
        await models("http://gateway.test")
    assert "add gateway.test to NO_PROXY" in no.value.message
    assert "word" not in no.value.message


@pytest.mark.parametrize("proxy", ["socks4://127.0.0.1:9", "ftp://proxy", "http://[::1"])
async def test_a_proxy_that_cannot_be_used_is_named(models, monkeypatch, proxy) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=r"HTTP_PROXY .*a proxy begins with http://"):
        await models("http://gateway.test")


async def test_a_dead_proxy_is_blamed_and_not_the_service(models, monkeypatch) -> None:
    port = free_port()
    monkeypatch.setenv("HTTP_PROXY", f"http://user:word@127.0.0.1:{port}")
    with pytest.raises(ProxyFailed) as failed:
        await models("http://gateway.test")
    assert f"through the proxy of HTTP_PROXY (127.0.0.1:{port})" in failed.value.message
    assert "add gateway.test to NO_PROXY" in failed.value.message
    assert "word" not in failed.value.message


async def test_a_proxy_that_refuses_is_blamed_too(models, monkeypatch) -> None:
    with forwarding("", refuses=407) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        with pytest.raises(ApiError, match=r"407 .*through the proxy of HTTP_PROXY"):
            await models("http://gateway.test")
        with pytest.raises(ProxyFailed, match=r"through the proxy of HTTPS_PROXY .*407"):
            await models("https://gateway.test")


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("*", "http://gateway.test"),
        ("gateway.test", "http://gateway.test:8000"),
        ("other, .test", "http://gateway.test"),
        ("*.test", "http://gateway.test"),
        ("GATEWAY.test:8000", "http://gateway.test:8000"),
        ("gateway.test:443", "https://gateway.test"),
        ("10.0.0.0/8", "http://10.1.2.3:8000"),
        ("10.1.2.3", "http://10.1.2.3:8000"),
        ("fd00::/8", "http://[fd00::1]:8000"),
        ("[fd00::1]", "http://[fd00::1]:8000"),
    ],
)
def test_no_proxy_is_honoured(monkeypatch, no_proxy: str, url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert proxy_for(url, read_proxies(os.environ)) is not None
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(url, read_proxies(os.environ)) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", "http://gateway.test"),
        ("ateway.test", "http://gateway.test"),
        ("gateway.test:9000", "http://gateway.test:8000"),
        ("10.0.0.0/8", "http://11.0.0.1"),
        ("10.0.0.0/8", "http://gateway.test"),
        (",[,", "http://gateway.test"),
    ],
)
def test_no_proxy_excepts_nothing_else(monkeypatch, no_proxy: str, url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(url, read_proxies(os.environ)) is not None


async def test_a_certificate_that_is_not_trusted_is_named_with_the_way_out(
    models, url, monkeypatch, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with tls_front(httpx.URL(url).port, authority.sign("IP:127.0.0.1")) as front:
        secure = f"https://127.0.0.1:{front.port}"
        with pytest.raises(TlsFailed, match=r"is not trusted .*set SSL_CERT_FILE"):
            await models(secure)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert (await models(secure)).data == []


async def test_https_to_a_service_without_tls_is_told_from_a_dead_one(models, url) -> None:
    with pytest.raises(TlsFailed, match="does not speak TLS"):
        await models(url.replace("http:", "https:"))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_file_of_certificates_that_is_missing_is_named(monkeypatch, kind) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE or SSL_CERT_DIR cannot be read"):
        kind("http://gateway.test")


async def test_who_brings_a_transport_has_no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    caller = Caller(Client, [httpx.Response(200, text=ModelList(data=[]).model_dump_json())])
    assert (await caller("models")).data == []


def test_threads_that_begin_together_share_one_transport(monkeypatch):
    made, together = [], threading.Barrier(8)

    class Slow(httpx.MockTransport):
        def __init__(self, **_: object) -> None:
            made.append(self)
            threading.Event().wait(0.05)  # as long as another thread needs to come by
            super().__init__(
                lambda _: httpx.Response(200, text=ModelList(data=[]).model_dump_json())
            )

    monkeypatch.setattr(httpx, "HTTPTransport", Slow)

    def call(client: Client) -> None:
        together.wait()
        client.models()

    with Client("http://latentry.test") as client:
        threads = [threading.Thread(target=call, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 1
