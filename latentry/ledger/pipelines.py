"""Calls of one event loop to Redis, pipelined: those that come together share a round trip.

redis-py takes a connection of its pool, checks it and sets two timers for each command anew, which
costs a gateway more time than Redis needs for a script. Here each pipeline keeps its connection.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final, cast

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

# Pipelines on their way at once: the second waits at Redis while the answers of the first are read.
MAX_PIPELINES: Final = 2
# Commands of one pipeline, so that no answer waits for very many others.
MAX_COMMANDS: Final = 64


class _Call:
    """One command on its way to its answer."""

    __slots__ = ("answer", "is_binary", "packed")

    def __init__(self, packed: bytes, *, is_binary: bool) -> None:
        self.packed = packed
        self.is_binary = is_binary
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def is_waiting(self) -> bool:
        """Whether there is no answer yet, and somebody who waits for it."""
        return not self.answer.done()

    def fail(self, error: Exception) -> None:
        """The answer is an error."""
        if self.is_waiting:
            self.answer.set_exception(error)

    def give_up(self) -> None:
        """It took too long."""
        self.fail(RedisTimeout("Redis does not answer."))

    async def read(self, connection: AbstractConnection) -> None:
        """Read the answer, which is the next on this connection."""
        try:
            answer = await connection.read_response(disable_decoding=self.is_binary)
        except (ResponseError, UnicodeDecodeError) as error:
            self.fail(error)
        else:
            if self.is_waiting:
                self.answer.set_result(answer)


class Pipelines:
    """Runs Redis commands, each answered as if it had been sent alone.

    A pipeline without its answers after `within_s` seconds is a lost connection; what is still
    waited for is sent again over a new one. A caller waits for `patience_s` seconds in all.
    """

    def __init__(self, pool: ConnectionPool, *, within_s: float, patience_s: float) -> None:
        self._pool = pool
        self._within_s = within_s
        self._patience_s = patience_s
        self._waiting: deque[_Call] = deque()
        self._idle: list[AbstractConnection] = []
        self._senders: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many calls are not on their way yet."""
        return len(self._waiting)

    async def execute(self, *words: Any, is_binary: bool = False) -> Any:
        """Run one command, with the next pipeline. Raises RedisError."""
        call = _Call(pack_command(words), is_binary=is_binary)
        self._waiting.append(call)
        if len(self._senders) < MAX_PIPELINES:
            self._senders.add(asyncio.create_task(self._send_all()))
        timer = asyncio.get_running_loop().call_later(self._patience_s, call.give_up)
        try:
            return await call.answer
        finally:
            timer.cancel()
            with suppress(ValueError):  # it was sent
                self._waiting.remove(call)

    async def close(self) -> None:
        """Send nothing more. The pool disconnects."""
        senders = list(self._senders)
        for sender in senders:
            sender.cancel()
        if senders:
            await asyncio.wait(senders)
        for call in self._waiting:
            call.fail(RedisConnectionError("The ledger is closed."))

    async def _send_all(self) -> None:
        # One pipeline after the other, while calls wait. Once it sees none it is no sender: a call
        # that comes before the task has ended would have nobody to send it.
        try:
            while calls := self._next():
                await self._send_these(calls)
        finally:
            self._senders.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _send_these(self, calls: list[_Call]) -> None:
        try:
            connection = self._idle.pop() if self._idle else await self._connection()
            try:
                await self._send(connection, calls)
            finally:
                self._idle.append(connection)
        except asyncio.CancelledError:
            for call in calls:
                call.fail(RedisConnectionError("The ledger is closed."))
            raise
        except Exception as error:
            for call in calls:
                call.fail(error)

    def _next(self) -> list[_Call]:
        count = min(len(self._waiting), MAX_COMMANDS)
        return [self._waiting.popleft() for _ in range(count)]

    async def _connection(self) -> AbstractConnection:
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        connection.socket_timeout = None  # `within_s` is for the whole pipeline
        connection.health_check_interval = 0
        return connection

    async def _send(self, connection: AbstractConnection, calls: list[_Call]) -> None:
        await connection.retry.call_with_retry(
            lambda: self._round_trip(connection, calls), lambda _: connection.disconnect()
        )

    async def _round_trip(self, connection: AbstractConnection, calls: list[_Call]) -> None:
        calls = [call for call in calls if call.is_waiting]
        if not calls:
            return
        try:
            async with asyncio.timeout(self._within_s):
                await connection.send_packed_command([call.packed for call in calls])
                for call in calls:
                    await call.read(connection)
        except TimeoutError as error:
            raise RedisTimeout("Redis does not answer.") from error
