"""Signals to workers: a queue got longer, a job is to stop."""

from dataclasses import dataclass

from redis.exceptions import RedisError

from latentry.errors import LedgerUnavailable
from latentry.ledger import redis_keys
from latentry.ledger.connection import Ledger
from latentry.ledger.refs import JobRef
from latentry.ledger.server.outages import outage


@dataclass(frozen=True, slots=True)
class Wake:
    """A job entered this model's queue; without a name, any may have."""

    model: str


@dataclass(frozen=True, slots=True)
class Stop:
    """This job is to be stopped."""

    ref: JobRef


class Signals:
    """The wake and stop channels, for one thread. Pub/sub keeps nothing: poll as well."""

    def __init__(self, ledger: Ledger) -> None:
        self._wake = redis_keys.key(ledger.channels, "wake")
        self._stop = redis_keys.key(ledger.channels, "stop")
        self._channel = ledger.client.pubsub()  # type: ignore[no-untyped-call]

    def wait(self, timeout_s: float) -> Wake | Stop | None:
        """The next signal, or None if there was none in time. Raises LedgerUnavailable.

        A connection that is made, or made anew, counts as a signal: those before it may be lost.
        """
        try:
            if not self._channel.subscribed:
                self._channel.subscribe(self._wake, self._stop)
            message = self._channel.get_message(timeout=timeout_s)
        except RedisError as error:
            raise (outage(error) or LedgerUnavailable()) from error
        if message is None or message["type"] == "unsubscribe":
            return None
        if message["type"] == "subscribe":
            return Wake("")
        if message["channel"] == self._stop:
            return Stop(JobRef.parse(message["data"]))
        return Wake(message["data"])

    def close(self) -> None:
        """Unsubscribe."""
        self._channel.close()
