"""What is measured, as the load generator sees it: it draws pictures and drops requests."""

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.load.traces import Wish

Answer = Mapping[str, Any]


class Contender(Protocol):
    """One way to serve pictures."""

    @property
    def name(self) -> str:
        """Its name in the tables."""

    async def draw(self, wish: Wish) -> Answer:
        """Return when the picture is done, with what the contender reports about the request."""

    async def clear(self) -> Answer:
        """Drop every request. Returns what it counted since the last call."""


class Child:
    """A contender in a process of its own, which reads and writes one JSON object per line.

    Each has a process to itself, since two OpenMP pools in one process slow each other down.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[Answer]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def draw(self, wish: Wish) -> Answer:
        """See Contender."""
        return await self.ask("draw", wish=wish.plain())

    async def clear(self) -> Answer:
        """See Contender."""
        return await self.ask("clear")

    async def ask(self, verb: str, **arguments: Any) -> Answer:
        """Send a command and wait for its reply. Raises RuntimeError if the child has ended."""
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        if self._listening.done():
            raise self._ended()
        assert self._process.stdin is not None
        line = json.dumps({"do": verb, "id": number, **arguments})
        self._process.stdin.write(line.encode() + b"\n")
        try:
            return await answer
        finally:
            self._open.pop(number, None)

    async def stop(self) -> None:
        """Close the child's input, at the end of which it exits, and wait."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            answer = json.loads(line)
            waiting = self._open.get(answer.pop("id"))
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(self._ended())

    def _ended(self) -> RuntimeError:
        return RuntimeError(f"The contender {self.name} has ended.")


@asynccontextmanager
async def child(
    name: str, kind: str, *, env: Mapping[str, str] = os.environ, checkout: Checkout = HERE
) -> AsyncIterator[Child]:
    """Start `python -m benchmarks.child KIND` and wait until it is ready to draw."""
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}
    process = await checkout.start(
        "benchmarks.child",
        kind,
        env={**env, **quiet},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    contender = Child(name, process)
    try:
        await contender.clear()
        yield contender
    finally:
        await contender.stop()
