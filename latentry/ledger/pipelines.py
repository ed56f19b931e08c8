"""Calls of one event loop to Redis, pipelined: those that come together share a round trip.

redis-py takes a connection, checks it and waits with timers for each command anew, which costs the
gateway more time than Redis takes for its scripts. A pipeline pays that once for all its commands.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import redis.asyncio

# Pipelines on their way at once: the second waits at Redis while the answers of the first are read.
MAX_PIPELINES: Final = 2
# Commands of one pipeline, so that no answer waits for very many others.
MAX_COMMANDS: Final = 64


@dataclass(frozen=True, slots=True)
class _Call:
    words: tuple[Any, ...]
    options: dict[str, Any]
    answer: asyncio.Future[Any] = field(default_factory=lambda: _future())


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


class Pipelines:
    """Runs Redis commands. Each gets its own answer or error, as if it had been sent alone."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._client = client
        self._waiting: deque[_Call] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def execute(self, *words: Any, **options: Any) -> Any:
        """Run one command, with the next pipeline. Raises RedisError."""
        call = _Call(words, options)
        self._waiting.append(call)
        if len(self._senders) < MAX_PIPELINES:
            sender = asyncio.create_task(self._send())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await call.answer

    async def _send(self) -> None:
        # One pipeline after the other, while calls wait.
        while calls := self._next():
            try:
                answers = await self._round_trip(calls)
            except Exception as error:
                answers = [error] * len(calls)
            for call, answer in zip(calls, answers, strict=True):
                if call.answer.done():  # its caller has gone
                    continue
                if isinstance(answer, Exception):
                    call.answer.set_exception(answer)
                else:
                    call.answer.set_result(answer)

    def _next(self) -> list[_Call]:
        calls: list[_Call] = []
        while self._waiting and len(calls) < MAX_COMMANDS:
            call = self._waiting.popleft()
            if not call.answer.done():
                calls.append(call)
        return calls

    async def _round_trip(self, calls: list[_Call]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.words, **call.options)
        return await pipeline.execute(raise_on_error=False)
