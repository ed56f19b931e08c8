"""Names to addresses, all of them vetted, and a connection to one of exactly those.

From which no more is read than any answer takes.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import Any, Final, TypeAlias

import httpcore

from latentry.errors import UrlNotAllowed
from service.outbound.addresses import Address
from service.outbound.rules import Rules, Target

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[Address]]]

CONNECT_S: Final = 5.0
READ_BYTES: Final = 64 * 1024
_LOOKED_UP_AT_ONCE: Final = 512


class SystemResolver:
    """The system's resolver. A name that takes for ever holds up neither others nor our end."""

    def __init__(self) -> None:
        self._looking = 0

    async def __call__(self, host: str, port: int) -> list[Address]:
        """All addresses of a host. Raises OSError if it has none."""
        if self._looking >= _LOOKED_UP_AT_ONCE:
            raise OSError("too many names are being looked up")
        found: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._looking += 1
        # A thread each: a pool would be full of names that somebody made slow, and waited for.
        Thread(target=self._look_up, args=(host, port, found), daemon=True).start()
        return [ip_address(text) for text in dict.fromkeys(await found)]

    def _look_up(self, host: str, port: int, found: "asyncio.Future[list[str]]") -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            rows = []
        addresses = [str(address[0]) for *_, address in rows]
        with suppress(RuntimeError):  # the loop has ended meanwhile
            found.get_loop().call_soon_threadsafe(self._tell, found, addresses)

    def _tell(self, found: "asyncio.Future[list[str]]", addresses: list[str]) -> None:
        self._looking -= 1
        if found.done():  # nobody waits any more
            return
        if addresses:
            found.set_result(addresses)
        else:
            found.set_exception(OSError("no such name"))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Where httpcore gets its one connection to a target. Raises UrlNotAllowed."""

    def __init__(
        self, target: Target, rules: Rules, resolve: Resolve, wire: httpcore.AsyncNetworkBackend
    ) -> None:
        self._target = target
        self._rules = rules
        self._resolve = resolve
        self._wire = wire

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, vet every answer, dial what was vetted."""
        assert (host, port) == (self._target.host, self._target.port), "one target, one network"
        for address in _one_of_each_kind(await self._vetted()):
            try:
                stream = await self._wire.connect_tcp(address.compressed, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            if await self._is(stream, address):
                return _Sip(stream)
        raise httpcore.ConnectError

    async def _vetted(self) -> list[Address]:
        try:
            async with asyncio.timeout(CONNECT_S):
                addresses = await self._resolve(self._target.host, self._target.port)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise httpcore.ConnectError from error
        # One bad answer spoils all: a name of both kinds is there to get past a guard.
        if not all(self._rules.lets_through(self._target, address) for address in addresses):
            raise UrlNotAllowed
        return addresses

    async def _is(self, stream: httpcore.AsyncNetworkStream, address: Address) -> bool:
        peer = stream.get_extra_info("server_addr")
        if peer is not None and ip_address(peer[0]) == address:
            return True
        await stream.aclose()
        return False


class _Sip(httpcore.AsyncNetworkStream):
    """A stream that ends with an error past its first bytes: interim answers know no bound."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left = READ_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._left <= 0:
            raise httpcore.ReadError
        data = await self._stream.read(min(max_bytes, self._left), timeout)
        self._left -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Sip(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _one_of_each_kind(addresses: list[Address]) -> list[Address]:
    # In the resolver's order. Nobody shall make us dial hundreds; one kind may lead nowhere here.
    firsts: dict[int, Address] = {}
    for address in addresses:
        firsts.setdefault(address.version, address)
    return list(firsts.values())
