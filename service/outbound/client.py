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
from latentry.errors import NoAnswer
from latentry.settings import Settings
from service.outbound.network import CONNECT_S, GuardedNetwork, Resolve, SystemResolver
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
        """With the rules of the settings. Raises ConfigurationError."""
        tls = httpx.create_ssl_context(trust_env=False)
        if file := settings.webhook_ca_file:
            tls.load_verify_locations(cadata=read_authorities(file, "LATENTRY_WEBHOOK_CA_FILE"))
        return cls(Rules.of(settings), SystemResolver(), tls=tls)

    def read(self, url: str) -> Target:
        """The target of a URL. Raises UrlNotAllowed, which says what to change."""
        return self._rules.read(url)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body and return the response's status; its headers and body are discarded.

        Raises UrlNotAllowed before it connects, or NoAnswer.
        """
        target = self._rules.read(url)
        try:
            return await self._post(target, body, headers)
        except _FAILED:  # no details: they would let callers map our network
            raise NoAnswer from None

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> int:
        network = GuardedNetwork(target, self._rules, self._resolve, self._backend)
        origin = httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port)
        all_headers = {
            "Host": target.authority,
            "Content-Length": str(len(body)),
            "Accept-Encoding": "identity",
            "Connection": "close",
        } | dict(headers)
        async with httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._tls, network_backend=network
        ) as connection:
            request = httpcore.Request(
                "POST",
                httpcore.URL(
                    scheme=origin.scheme, host=origin.host, port=origin.port, target=target.path
                ),
                headers=list(all_headers.items()),
                content=body,
                extensions={"timeout": _TIMEOUTS},
            )
            async with asyncio.timeout(self._request_s):
                response = await connection.handle_async_request(request)
            # The status decides; a body that is slow or breaks off does not matter.
            with suppress(*_FAILED):
                await _drain(response)
            return response.status


async def _drain(response: httpcore.Response) -> None:
    async with asyncio.timeout(1):
        async for _ in response.aiter_stream():
            pass
