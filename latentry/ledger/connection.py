"""Runs commands against Redis: `Ledger` in a thread, `AsyncLedger` in an event loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import redis
import redis.asyncio
from redis.backoff import ExponentialWithJitterBackoff
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

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


def _options(command: Command[T]) -> dict[str, Any]:
    return {NEVER_DECODE: []} if command.is_binary else {}


# A silently dropped connection must not block its caller for ever, as it does by default.
_CONNECTION: dict[str, Any] = {
    "decode_responses": True,
    "socket_timeout": 5.0,
    "socket_connect_timeout": 2.0,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
_RETRIES = 2
# Coroutines wait for one of these; by default the 101st at once would be refused.
_POOL: dict[str, Any] = {"max_connections": 32, "timeout": 5.0}


def _channels(client: "redis.Redis | redis.asyncio.Redis", root: str) -> str:
    return redis_keys.channels(root, client.get_connection_kwargs().get("db") or 0)


class Ledger:
    """The ledger for threads. Raises LedgerUnavailable if Redis does not answer, or LedgerFull."""

    def __init__(self, client: "redis.Redis", root: str) -> None:
        self.client = client
        self.root = root
        self.channels = _channels(client, root)
        self._execute: Callable[..., Any] = client.execute_command

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

    def _evaluate(self, command: Command[T]) -> Any:
        args, options = (2, self.root, self.channels, *command.args), _options(command)
        try:
            return self._execute("EVALSHA", digest(command.script), *args, **options)
        except NoScriptError:  # a fresh server, or one that was restarted
            return self._execute("EVAL", source(command.script), *args, **options)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class AsyncLedger:
    """The ledger for an event loop. Raises LedgerUnavailable as `Ledger` does."""

    def __init__(self, client: "redis.asyncio.Redis", root: str) -> None:
        self.client = client
        self.root = root
        self.channels = _channels(client, root)
        self._pipelines = Pipelines(client)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Connect lazily, as the settings say. Raises ConfigurationError."""
        retry = redis.asyncio.retry.Retry(
            ExponentialWithJitterBackoff(base=0.05, cap=0.5), _RETRIES
        )
        url = settings.redis_url.get_secret_value()
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url, retry=retry, **_POOL, **_CONNECTION, **tls_options(settings)
        )
        return cls(redis.asyncio.Redis.from_pool(pool), redis_keys.root(settings.redis_prefix))

    async def run(self, command: Command[T]) -> T:
        """Run one command."""
        try:
            return command.read(await self._evaluate(command))
        except RedisError as error:
            if (unavailable := outage(error)) is None:
                raise
            raise unavailable from error

    async def _evaluate(self, command: Command[T]) -> Any:
        execute, options = self._pipelines.execute, _options(command)
        args = (2, self.root, self.channels, *command.args)
        try:
            return await execute("EVALSHA", digest(command.script), *args, **options)
        except NoScriptError:  # a fresh server, or one that was restarted
            return await execute("EVAL", source(command.script), *args, **options)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
