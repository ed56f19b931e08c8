"""Names to addresses, all of them vetted, and a connection to one of exactly those."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

import httpcore

from latentry.errors import UrlNotAllowed
from service.outbound.addresses import Address
from service.outbound.rules import Rules, Target

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[Address]]]

CONNECT_S: Final = 5.0
_DIALLED: Final = 2  # of the addresses of one name; nobody shall make us try hundreds


class SystemResolver:
    """The system's resolver, in threads of its own: names that take for ever block nothing else."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[Address]:
        """All addresses of a host. Raises OSError if it has none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return [ip_address(text) for text in dict.fromkeys(found)]

    def close(self) -> None:
        """Wait for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)


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
        addresses = await self._vetted()
        for address in addresses[:_DIALLED]:
            try:
                stream = await self._wire.connect_tcp(address.compressed, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            if await self._is(stream, address):
                return stream
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


def _look_up(host: str, port: int) -> list[str]:
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in rows]
