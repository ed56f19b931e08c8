"""A look at Redis before a process starts: whether it is what the service needs."""

from contextlib import closing
from typing import Final

from redis.exceptions import RedisError

from latentry.errors import ConfigurationError, LedgerMisconfigured, LedgerUnavailable
from latentry.ledger import commands, redis_keys
from latentry.ledger.connection import Ledger
from latentry.ledger.server.outages import outage
from latentry.ledger.signals import Signals
from latentry.settings import Settings

# What kombu runs on its lists, sets and hashes; they leave nothing behind.
_BROKERS_COMMANDS: Final = (
    *(("LPUSH", ""), ("LLEN",), ("DEL",), ("BRPOP", 0.01)),
    *(("SADD", ""), ("SMEMBERS",), ("SREM", "")),
    *(("HSET", "", ""), ("HGET", ""), ("HDEL", "")),
    *(("ZADD", 0, ""), ("ZREM", "")),
)
_SUBSCRIBED_S: Final = 2.0  # returns as soon as Redis has answered


def inspect(settings: Settings) -> None:
    """Raises ConfigurationError if Redis answers, but cannot serve us, with what to change.

    One that does not answer, or is a replica, may be what we need later.
    """
    with closing(Ledger.open(settings, retries=0)) as ledger:
        try:
            ledger.run(commands.check_writable())
            with closing(Signals(ledger)) as signals:
                signals.wait(_SUBSCRIBED_S)
            _try_broker(ledger)
            _refuse_eviction(ledger)
        except LedgerMisconfigured as error:
            raise ConfigurationError(f"{error.message} Details: {error.__cause__}") from error
        except LedgerUnavailable:
            return
        except RedisError as error:
            raise ConfigurationError(
                f"The ledger (Redis) cannot run a command of the service. Details: {error}"
            ) from error


def _try_broker(ledger: Ledger) -> None:
    """Run what kombu runs: it would only try again for ever, ten times a second."""
    key = redis_keys.key(ledger.root, "celery", "check")
    try:
        with ledger.client.pipeline(transaction=True) as calls:  # in which none of them waits
            for name, *arguments in _BROKERS_COMMANDS:
                calls.execute_command(name, key, *arguments)  # type: ignore[no-untyped-call]
            calls.execute()
    except RedisError as error:
        raise (outage(error) or error) from error


def _refuse_eviction(ledger: Ledger) -> None:
    """Redis would drop accepted jobs to make room for others."""
    try:
        memory = ledger.client.info("memory")
    except RedisError as error:
        if isinstance(refusal := outage(error), LedgerMisconfigured):
            return  # INFO is denied to many users, and only this check needs it
        raise (refusal or LedgerUnavailable()) from error
    policy = memory.get("maxmemory_policy", "noeviction")
    if memory.get("maxmemory") and policy != "noeviction":
        raise ConfigurationError(
            f"The ledger (Redis) would drop accepted jobs when its memory is full: set its"
            f" maxmemory-policy to noeviction; it is {policy}."
        )
