"""Runs commands against Redis: `Ledger` in a thread, `AsyncLedger` in an event loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import redis
import redis.asyncio
from redis.backoff import ExponentialWithJitterBackoff
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, RedisError
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


def _options(command: Command[T]) -> dict[str, Any]:
    return {NEVER_DECODE: []} if command.is_binary else {}


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

    def run_all(self, commands: Sequence[Command[T]]) -> list[T | Exception]:
        """Run commands one after the other, in one round trip: the answer or the error of each.

        Raises LedgerUnavailable if no answer came: any number of them may have been run.
        """
        pipeline = self.client.pipeline(transaction=False)
        for one in commands:
            pipeline.execute_command(  # type: ignore[no-untyped-call]
                "EVALSHA", digest(one.script), *self._words(one)
            )
        try:
            answers = pipeline.execute(raise_on_error=False)
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

    def _words(self, command: Command[T]) -> tuple[str | int | bytes, ...]:
        return 2, self.root, self.channels, *command.args

    def _evaluate(self, command: Command[T]) -> Any:
        args, options = self._words(command), _options(command)
        try:
            return self._execute("EVALSHA", digest(command.script), *args, **options)
        except NoScriptError:  # a fresh server, or one that was restarted
            return self._execute("EVAL", source(command.script), *args, **options)

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
