"""Calls of one event loop to Redis, pipelined: those that come together share a round trip.

redis-py takes a connection of its pool, checks it and sets two timers for each command anew, which
costs a gateway more time than Redis needs for a script. Here each pipeline keeps its connection.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

# Pipelines on their way at once: the second waits at Redis while the answers of the first are read.
MAX_PIPELINES: Final = 2
# Commands of one pipeline, so that no answer waits for very many others.
MAX_COMMANDS: Final = 64


@dataclass(frozen=True, slots=True)
class _Call:
    words: tuple[Any, ...]
    is_binary: bool
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Pipelines:
    """Runs Redis commands, each answered as if it had been sent alone.

    A pipeline without its answers after `within_s` seconds is a lost connection. It is sent again
    over a new one, as the pool's `retry` says.
    """

    def __init__(self, pool: ConnectionPool, *, within_s: float) -> None:
        self._pool = pool
        self._within_s = within_s
        self._waiting: deque[_Call] = deque()
        self._idle: list[AbstractConnection] = []
        self._senders: set[asyncio.Task[None]] = set()

    async def execute(self, *words: Any, is_binary: bool = False) -> Any:
        """Run one command, with the next pipeline. Raises RedisError."""
        call = _Call(words, is_binary)
        self._waiting.append(call)
        if len(self._senders) < MAX_PIPELINES:
            sender = asyncio.create_task(self._send_all())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await call.answer

    async def close(self) -> None:
        """Disconnect."""
        for sender in self._senders:
            sender.cancel()
        if self._senders:
            await asyncio.wait(self._senders)
        while self._idle:
            await self._idle.pop().disconnect()

    async def _send_all(self) -> None:
        # One pipeline after the other, while calls wait.
        connection = self._idle.pop() if self._idle else self._connection()
        try:
            while calls := self._next():
                await self._send(connection, calls)
        finally:
            self._idle.append(connection)

    def _connection(self) -> AbstractConnection:
        connection = self._pool.make_connection()
        connection.socket_timeout = None  # `within_s` is for the whole pipeline
        connection.health_check_interval = 0
        return connection

    def _next(self) -> list[_Call]:
        calls: list[_Call] = []
        while self._waiting and len(calls) < MAX_COMMANDS:
            call = self._waiting.popleft()
            if not call.answer.done():  # else its caller has gone
                calls.append(call)
        return calls

    async def _send(self, connection: AbstractConnection, calls: list[_Call]) -> None:
        try:
            answers = await connection.retry.call_with_retry(
                lambda: self._round_trip(connection, calls), lambda _: connection.disconnect()
            )
        except Exception as error:
            answers = [error] * len(calls)
        for call, answer in zip(calls, answers, strict=True):
            if call.answer.done():
                continue
            if isinstance(answer, Exception):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer)

    async def _round_trip(self, connection: AbstractConnection, calls: list[_Call]) -> list[Any]:
        try:
            async with asyncio.timeout(self._within_s):
                packed = connection.pack_commands([call.words for call in calls])
                await connection.send_packed_command(packed)
                return [await _answer(connection, call) for call in calls]
        except TimeoutError as error:
            raise RedisTimeout("Redis does not answer.") from error


async def _answer(connection: AbstractConnection, call: _Call) -> Any:
    try:
        return await connection.read_response(disable_decoding=call.is_binary)
    except ResponseError as error:
        return error
