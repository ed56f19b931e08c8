"""One guarded request: no redirects, proxies, cookies or decoding, and a limit on everything.

httpcore does none of these by itself; httpx, built on it, would need each switched off.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self

import httpcore
import httpx

from latentry.certificates import read_authorities
from latentry.errors import FetchFailed, ImageTooLarge, NoAnswer
from latentry.settings import Settings
from service.outbound.network import (
    CONNECT_S,
    READ_BYTES,
    GuardedNetwork,
    Resolve,
    SystemResolver,
)
from service.outbound.rules import Rules, Target

REQUEST_S: Final = 15.0
_TIMEOUTS: Final = {"connect": CONNECT_S, "read": REQUEST_S, "write": REQUEST_S, "pool": REQUEST_S}
# Everything that can go wrong between a socket and a response.
_FAILED: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    OSError,
)


class Outbound:
    """Sends requests to URLs that callers name, one connection each."""

    def __init__(
        self,
        rules: Rules,
        resolve: Resolve,
        *,
        backend: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
        request_s: float = REQUEST_S,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._backend = backend or httpcore.AnyIOBackend()
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._request_s = request_s

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """For webhooks, with the rules of the settings. Raises ConfigurationError."""
        return cls(Rules.of(settings), SystemResolver(), tls=_tls(settings))

    @classmethod
    def for_pictures(cls, settings: Settings) -> Self:
        """For pictures that requests name, with rules of their own. Raises ConfigurationError."""
        return cls(Rules.for_pictures(settings), SystemResolver(), tls=_tls(settings))

    def read(self, url: str) -> Target:
        """The target of a URL. Raises UrlNotAllowed, which says what to change."""
        return self._rules.read(url)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body and return the response's status; its headers and body are discarded.

        Raises UrlNotAllowed before it connects, or NoAnswer.
        """
        target = self._rules.read(url)
        headers = {"Content-Length": str(len(body))} | dict(headers)
        try:
            async with self._connection(target) as connection:
                request = _request("POST", target, headers, body)
                async with asyncio.timeout(self._request_s):
                    response = await connection.handle_async_request(request)
                # The status decides; a body that is slow or breaks off does not matter.
                with suppress(*_FAILED):
                    await _drain(response)
                return response.status
        except _FAILED:  # no details: they would let callers map our network
            raise NoAnswer from None

    async def get(self, url: str, *, max_bytes: int) -> bytes:
        """The body of a response with status 200.

        Raises UrlNotAllowed before it connects, ImageTooLarge, or FetchFailed.
        """
        target = self._rules.read(url)
        try:
            async with (
                asyncio.timeout(self._request_s),
                self._connection(target, max_bytes) as connection,
            ):
                request = _request("GET", target, {"Accept": "image/*"})
                response = await connection.handle_async_request(request)
                if response.status != 200:  # nor is a redirect followed
                    raise FetchFailed
                return await _body(response, max_bytes)
        except _FAILED:
            raise FetchFailed from None

    def _connection(self, target: Target, max_bytes: int = 0) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port),
            ssl_context=self._tls,
            network_backend=GuardedNetwork(
                target, self._rules, self._resolve, self._backend, read_bytes=READ_BYTES + max_bytes
            ),
        )


def _request(
    method: str, target: Target, headers: Mapping[str, str], body: bytes = b""
) -> httpcore.Request:
    own = {"Host": target.authority, "Accept-Encoding": "identity", "Connection": "close"}
    return httpcore.Request(
        method,
        httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path,
        ),
        headers=list((own | dict(headers)).items()),
        content=body,
        extensions={"timeout": _TIMEOUTS},
    )


async def _drain(response: httpcore.Response) -> None:
    async with asyncio.timeout(1):
        async for _ in response.aiter_stream():
            pass


async def _body(response: httpcore.Response, max_bytes: int) -> bytes:
    body = bytearray()
    async for part in response.aiter_stream():
        body += part
        if len(body) > max_bytes:
            raise ImageTooLarge(f"The picture is larger than {max_bytes} bytes.")
    return bytes(body)


def _tls(settings: Settings) -> ssl.SSLContext:
    tls = httpx.create_ssl_context(trust_env=False)
    if file := settings.webhook_ca_file:
        tls.load_verify_locations(cadata=read_authorities(file, "LATENTRY_WEBHOOK_CA_FILE"))
    return tls
