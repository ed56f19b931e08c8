"""Resolves a host once, checks every address, and connects to one of exactly those addresses.

Resolving again when connecting would let a name server answer differently (DNS rebinding). Of a
response no more than READ_BYTES are read, and the body that is wanted.
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
_MAX_LOOKUPS: Final = 512


class SystemResolver:
    """The system's resolver. A slow name delays neither other lookups nor the shutdown."""

    def __init__(self) -> None:
        self._lookups = 0

    async def __call__(self, host: str, port: int) -> list[Address]:
        """All addresses of a host. Raises OSError if it has none."""
        if self._lookups >= _MAX_LOOKUPS:
            raise OSError("too many lookups")
        found: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._lookups += 1
        # A thread each: slow names would fill a pool, and a pool is joined at exit.
        Thread(target=self._look_up, args=(host, port, found), daemon=True).start()
        return [ip_address(text) for text in dict.fromkeys(await found)]

    def _look_up(self, host: str, port: int, found: "asyncio.Future[list[str]]") -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            rows = []
        addresses = [str(address[0]) for *_, address in rows]
        with suppress(RuntimeError):  # the loop was closed meanwhile
            found.get_loop().call_soon_threadsafe(self._settle, found, addresses)

    def _settle(self, found: "asyncio.Future[list[str]]", addresses: list[str]) -> None:
        self._lookups -= 1
        if found.done():  # the caller timed out
            return
        if addresses:
            found.set_result(addresses)
        else:
            found.set_exception(OSError("unknown host"))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """httpcore's network backend for one target. Raises UrlNotAllowed."""

    def __init__(
        self,
        target: Target,
        rules: Rules,
        resolve: Resolve,
        backend: httpcore.AsyncNetworkBackend,
        *,
        read_bytes: int = READ_BYTES,
    ) -> None:
        self._target = target
        self._rules = rules
        self._resolve = resolve
        self._backend = backend
        self._read_bytes = read_bytes

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check every address, connect to one of them."""
        assert (host, port) == (self._target.host, self._target.port), "one backend for each target"
        for address in _one_per_version(await self._checked_addresses()):
            try:
                stream = await self._backend.connect_tcp(address.compressed, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            if await self._is_connected_to(stream, address):
                return _BoundedStream(stream, self._read_bytes)
        raise httpcore.ConnectError

    async def _checked_addresses(self) -> list[Address]:
        try:
            async with asyncio.timeout(CONNECT_S):
                addresses = await self._resolve(self._target.host, self._target.port)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise httpcore.ConnectError from error
        # One closed address refuses the host: a mix of both is how guards are bypassed.
        if not all(self._rules.allows(self._target, address) for address in addresses):
            raise UrlNotAllowed
        return addresses

    async def _is_connected_to(self, stream: httpcore.AsyncNetworkStream, address: Address) -> bool:
        peer = stream.get_extra_info("server_addr")
        if peer is not None and ip_address(peer[0]) == address:
            return True
        await stream.aclose()
        return False


class _BoundedStream(httpcore.AsyncNetworkStream):
    """Fails past so many bytes: the number of interim (1xx) responses is not bounded by HTTP."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, read_bytes: int) -> None:
        self._stream = stream
        self._left = read_bytes

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
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _BoundedStream(stream, self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _one_per_version(addresses: list[Address]) -> list[Address]:
    # In the resolver's order. A host may have hundreds of addresses, and IPv6 may not work here.
    firsts: dict[int, Address] = {}
    for address in addresses:
        firsts.setdefault(address.version, address)
    return list(firsts.values())
