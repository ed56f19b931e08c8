"""One guarded exchange: no redirects, no proxies, no cookies, no decoding, a bound on everything.

httpcore alone does none of these by itself; httpx, on top of it, would have to be told.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self

import httpcore
import httpx

from latentry.errors import NoAnswer
from latentry.settings import Settings
from service.outbound.network import CONNECT_S, GuardedNetwork, Resolve, SystemResolver
from service.outbound.rules import Rules, Target

WHOLE_S: Final = 15.0
_TIMEOUTS: Final = {"connect": CONNECT_S, "read": WHOLE_S, "write": WHOLE_S, "pool": WHOLE_S}
# Whatever else happens between a socket and an answer.
_BROKEN: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    OSError,
)


class Outbound:
    """Speaks to addresses that callers name, a connection for each exchange."""

    def __init__(
        self,
        rules: Rules,
        resolve: Resolve,
        *,
        wire: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
        whole_s: float = WHOLE_S,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._wire = wire or httpcore.AnyIOBackend()
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._whole_s = whole_s

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """As the settings say. Raises ConfigurationError."""
        return cls(Rules.of(settings), SystemResolver())

    def read(self, url: str) -> Target:
        """What a URL names, if it may be named. Raises UrlNotAllowed with what to change."""
        return self._rules.read(url)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body. Answers the status, which is all that is read of the other side's words.

        Raises UrlNotAllowed before anything is dialled, and NoAnswer.
        """
        target = self._rules.read(url)
        try:
            return await self._exchange(target, body, headers)
        except _BROKEN:  # nobody is told where in between: that would be a map of our network
            raise NoAnswer from None

    async def _exchange(self, target: Target, body: bytes, headers: Mapping[str, str]) -> int:
        network = GuardedNetwork(target, self._rules, self._resolve, self._wire)
        origin = httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port)
        sent = {
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
                headers=list(sent.items()),
                content=body,
                extensions={"timeout": _TIMEOUTS},
            )
            async with asyncio.timeout(self._whole_s):
                response = await connection.handle_async_request(request)
            # The status is the answer. A body that drips or breaks off takes nothing back.
            with suppress(*_BROKEN):
                await _drain(response)
            return response.status


async def _drain(response: httpcore.Response) -> None:
    async with asyncio.timeout(1):
        async for _ in response.aiter_stream():
            pass
