"""Servers as people write them today, around the stock pipeline on the same model.

`locked` is FastAPI with one request at a time; `lit` is LitServe's dynamic batching, where equal
requests run together. Install it with `pip install 'latentry[bench]'`.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Final

import httpx

from benchmarks.contenders.contender import Answer
from benchmarks.load.traces import Mix, Wish
from latentry.serve.ports import free_port

HOST: Final = "127.0.0.1"
POLL_S: Final = 0.1
PEERS: Final = ("locked", "lit")


class Peer:
    """One such server, in processes of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: asyncio.subprocess.Process | None = None
        self._http = httpx.AsyncClient(timeout=None, trust_env=False)
        self._url = ""

    async def start(self) -> None:
        """Start the server; returns when it has drawn a picture."""
        port = free_port(HOST)
        self._url = f"http://{HOST}:{port}/predict"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"benchmarks.contenders.{self.name}", str(port),
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not await self._answers():
            if self._process.returncode is not None:
                raise RuntimeError(f"The server {self.name} does not start.")
            await asyncio.sleep(POLL_S)

    async def draw(self, wish: Wish) -> Answer:
        """See Contender."""
        (await self._http.post(self._url, json=asdict(wish))).raise_for_status()
        return {}

    async def clear(self) -> Answer:
        """See Contender. These servers cannot drop a request, so they are restarted."""
        await self.stop()
        await self.start()
        return {}

    async def stop(self) -> None:
        """Kill it and every process that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def _answers(self) -> bool:
        try:
            await self.draw(Mix((1,)).first(1)[0])
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False
        return True


@asynccontextmanager
async def peer(name: str) -> AsyncIterator[Peer]:
    """A server that is ready to draw; it is killed when the block ends."""
    contender = Peer(name)
    try:
        await contender.start()
        yield contender
    finally:
        await contender.stop()
