"""A webhook receiver on loopback that misbehaves as a test says."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def notice(self) -> dict[str, Any]:
        return json.loads(self.body)


class Receiver:
    """Keeps what it got; answers with `answer`, which a test may change at any time."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or status(200)
        self.got: list[Received] = []
        self.connections = 0
        self.port = 0
        self._arrived = asyncio.Condition()
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook?token=s3cret"

    @property
    def ids(self) -> list[str]:
        return [received.id for received in self.got]

    async def arrived(self, count: int, timeout_s: float = 20) -> list[Received]:
        """Wait for so many requests in all."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.got) >= count)
        return self.got

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
            headers = {name.lower(): value for name, _, value in lines}
            body = await reader.readexactly(int(headers["content-length"]))
            self.got.append(Received(headers, body))
            async with self._arrived:
                self._arrived.notify_all()
            await self.answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


def status(code: int, **headers: str) -> Answer:
    """A plain answer."""
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Length: 0"]
    lines += [f"{name}: {value}" for name, value in headers.items()]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One after the other; the last for ever."""
    left = list(answers)

    async def answer(writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(writer)

    return answer


async def silence(_: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Closes before it has said anything."""
    writer.close()


async def nonsense(writer: asyncio.StreamWriter) -> None:
    """Speaks another language."""
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Takes the webhook, then sends a long response byte by byte."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_head(writer: asyncio.StreamWriter) -> None:
    """Never gets to the end of its head."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: and more\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


class Huge:
    """Responds without end."""

    HEAD = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    PART = b"%x\r\n%s\r\n" % (16 * 1024, b"." * 16 * 1024)

    def __init__(self, head: bytes = HEAD, part: bytes = PART) -> None:
        self.sent = 0
        self._head = head
        self._part = part

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)
        writer.write(self._head)
        while self.sent < 1 << 30:
            writer.write(self._part)
            await writer.drain()
            self.sent += len(self._part)
