"""Runs commands against Redis: `Ledger` in a thread, `AsyncLedger` in an event loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import redis
import redis.asyncio
from hiredis import pack_command
from redis.backoff import ExponentialWithJitterBackoff
from redis.connection import AbstractConnection, ConnectionPool
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from latentry.errors import LatentryError
from latentry.ledger import redis_keys
from latentry.ledger.pipelines import Pipelines
from latentry.ledger.scripts import digest, source
from latentry.ledger.server.outages import outage
from latentry.ledger.server.tls import tls_options
from latentry.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """One atomic script call: its name, its arguments, and how to read its answer.

    Every command may be run twice without harm, because a reply can be lost. A binary one is
    answered in bytes, others in text.
    """

    script: str
    args: tuple[str | int | bytes, ...]
    read: Callable[[Any], T]
    is_binary: bool = False


# A silently dropped connection must not block its caller for ever, as it does by default.
_ANSWER_S = 5.0
_CONNECTION: dict[str, Any] = {
    "decode_responses": True,
    "socket_timeout": _ANSWER_S,
    "socket_connect_timeout": 2.0,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
_RETRIES = 2


def _channels(client: "redis.Redis | redis.asyncio.Redis", root: str) -> str:
    return redis_keys.channels(root, client.get_connection_kwargs().get("db") or 0)


class _Connections:
    """Runs Redis commands of threads, each time over a connection that was used before, if any.

    redis-py's pool takes, checks and returns one for each command, which takes a worker longer than
    all else of it. That a connection is lost is found when a command fails, which is sent again.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        # Kept by the pool: several ledgers may have it, and connections refer to it.
        self._idle: list[AbstractConnection] = vars(pool).setdefault("latentry_idle", [])

    def execute(self, commands: Sequence[tuple[Any, ...]], *, is_binary: bool = False) -> list[Any]:
        """The answer or the error of each, in one round trip. Raises RedisError without answers."""
        packed = [b"".join(map(pack_command, commands))]
        connection = self._taken()

        def round_trip() -> list[Any]:
            # Sending would connect too, but try it several times in each of our tries.
            connection.connect_check_health(check_health=False, retry_socket_connect=False)
            connection.send_packed_command(packed)
            return [_answer(connection, is_binary=is_binary) for _ in commands]

        try:
            answers: list[Any] = connection.retry.call_with_retry(
                round_trip, lambda _: connection.disconnect()
            )
            return answers
        except BaseException:  # nobody reads what may still come
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)

    def _taken(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.get_connection()


def _answer(connection: AbstractConnection, *, is_binary: bool) -> Any:
    try:
        return connection.read_response(disable_decoding=is_binary)
    except ResponseError as error:
        return error


class Ledger:
    """The ledger for threads. Raises LedgerUnavailable if Redis does not answer, or LedgerFull."""

    def __init__(self, client: "redis.Redis", root: str) -> None:
        self.client = client
        self.root = root
        self.channels = _channels(client, root)
        self._connections = _Connections(client.connection_pool)

    @classmethod
    def open(cls, settings: Settings, *, retries: int = _RETRIES) -> Self:
        """Connect lazily, as the settings say. Raises ConfigurationError."""
        retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries)
        url = settings.redis_url.get_secret_value()
        client = redis.Redis.from_url(url, retry=retry, **_CONNECTION, **tls_options(settings))
        return cls(client, redis_keys.root(settings.redis_prefix))

    def run(self, command: Command[T]) -> T:
        """Run one command."""
        try:
            return command.read(self._evaluate(command))
        except RedisError as error:
            if (unavailable := outage(error)) is None:
                raise
            raise unavailable from error

    def run_all(self, commands: Sequence[Command[T]]) -> list[T | Exception]:
        """Run commands one after the other, in one round trip: the answer or the error of each.

        Raises LedgerUnavailable if no answer came: any number of them may have been run.
        """
        assert not any(one.is_binary for one in commands), "all are answered in text"
        try:
            answers = self._connections.execute(
                [("EVALSHA", digest(one.script), *self._words(one)) for one in commands]
            )
        except RedisError as error:
            if (unavailable := outage(error)) is None:
                raise
            raise unavailable from error
        told: list[T | Exception] = []
        for one, said in zip(commands, answers, strict=True):
            try:
                told.append(self._read(one, said))
            except (LatentryError, RedisError) as error:
                told.append(error)
        return told

    def _read(self, command: Command[T], said: Any) -> T:
        """What one command of a pipeline was answered."""
        if isinstance(said, NoScriptError):
            return self.run(command)
        if isinstance(said, RedisError):
            raise outage(said) or said
        return command.read(said)

    def _evaluate(self, command: Command[T]) -> Any:
        args, is_binary = self._words(command), command.is_binary
        try:
            return self._execute("EVALSHA", digest(command.script), *args, is_binary=is_binary)
        except NoScriptError:  # a fresh server, or one that was restarted
            return self._execute("EVAL", source(command.script), *args, is_binary=is_binary)

    def _execute(self, *words: str | int | bytes, is_binary: bool = False) -> Any:
        [answer] = self._connections.execute([words], is_binary=is_binary)
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def _words(self, command: Command[T]) -> tuple[str | int | bytes, ...]:
        return 2, self.root, self.channels, *command.args

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class AsyncLedger:
    """The ledger for an event loop. Raises LedgerUnavailable as `Ledger` does."""

    # Seconds that a caller waits, whatever is tried meanwhile.
    patience_s = 20.0

    def __init__(self, client: "redis.asyncio.Redis", root: str) -> None:
        self.client = client
        self.root = root
        self.channels = _channels(client, root)
        self._pipelines = Pipelines(
            client.connection_pool,
            within_s=min(_ANSWER_S, self.patience_s),
            patience_s=self.patience_s,
        )

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Connect lazily, as the settings say. Raises ConfigurationError."""
        retry = redis.asyncio.retry.Retry(
            ExponentialWithJitterBackoff(base=0.05, cap=0.5), _RETRIES
        )
        url = settings.redis_url.get_secret_value()
        client = redis.asyncio.Redis.from_url(
            url, retry=retry, protocol=2, **_CONNECTION, **tls_options(settings)
        )
        return cls(client, redis_keys.root(settings.redis_prefix))

    async def run(self, command: Command[T]) -> T:
        """Run one command."""
        try:
            return command.read(await self._evaluate(command))
        except RedisError as error:
            if (unavailable := outage(error)) is None:
                raise
            raise unavailable from error

    async def _evaluate(self, command: Command[T]) -> Any:
        execute, is_binary = self._pipelines.execute, command.is_binary
        args = (2, self.root, self.channels, *command.args)
        try:
            return await execute("EVALSHA", digest(command.script), *args, is_binary=is_binary)
        except NoScriptError:  # a fresh server, or one that was restarted
            return await execute("EVAL", source(command.script), *args, is_binary=is_binary)

    async def close(self) -> None:
        """Close the connections."""
        await self._pipelines.close()
        await self.client.aclose()
