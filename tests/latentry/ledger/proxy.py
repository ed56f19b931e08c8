"""A TCP proxy that can go silent (as a flushed NAT table), slow, or drop every connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Forwards to the first of some local ports that answers, until it is told otherwise.

    `silent`: swallow what is sent. `delay_s`: hold every piece back for so long. `received`: set by
    each piece.
    """

    def __init__(self, *targets: int) -> None:
        self.targets = list(targets)
        self.port = 0
        self.silent = False
        self.delay_s = 0.0
        self.received = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """Reset every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected = await self._connect()
        if connected is None:
            writer.transport.abort()
            return
        upstream, downstream = connected
        self._open |= {writer, downstream}
        for source, sink in ((reader, downstream), (upstream, writer)):
            task = asyncio.create_task(self._copy(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for target in self.targets:
            try:
                return await asyncio.open_connection("127.0.0.1", target)
            except OSError:
                continue
        return None

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                self.received.set()
                await asyncio.sleep(self.delay_s)
                if not self.silent:
                    sink.write(data)
        except ConnectionError:
            pass  # the other side has closed
        finally:
            self._open.discard(sink)
            sink.close()


@asynccontextmanager
async def proxy(*targets: int) -> AsyncIterator[Proxy]:
    """A running proxy before `targets`."""
    made = Proxy(*targets)
    server = await asyncio.start_server(made._accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    made.reset()
    tasks = list(made._tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # a transport closes a turn of the loop later
