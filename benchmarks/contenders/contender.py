"""Those who are measured, as the load generator sees them: everyone draws, everyone forgets."""

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Protocol

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.load.traces import Wish

Answer = Mapping[str, Any]


class Contender(Protocol):
    """One way to serve pictures."""

    @property
    def name(self) -> str:
        """How the tables call it."""

    async def draw(self, wish: Wish) -> Answer:
        """Return when the picture is there, with what the contender can tell about the way."""

    async def clear(self) -> Answer:
        """Forget whatever is waiting or under way; then what it counted since the last time."""


class Child:
    """A contender in a process of its own, asked and answering in lines of JSON.

    Each computes on one thread of its own process: two OpenMP pools in one process fight.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[Answer]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def draw(self, wish: Wish) -> Answer:
        """See Contender."""
        return await self.ask("draw", wish=asdict(wish))

    async def clear(self) -> Answer:
        """See Contender."""
        return await self.ask("clear")

    async def ask(self, verb: str, **arguments: Any) -> Answer:
        """One question, one answer. Raises RuntimeError if the child has ended."""
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
        """End of input is the end of the child."""
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
