"""What happens to jobs, as it happens: one subscription per process."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.exceptions import RedisError

from latentry.contracts import EventType, Preview, Progress
from latentry.errors import LedgerUnavailable
from latentry.ledger import redis_keys
from latentry.ledger.connection import AsyncLedger
from latentry.ledger.refs import JobRef
from latentry.ledger.server.outages import outage

QUIET_S = 4.0
_EVENT_ID = re.compile("([0-9]{1,19})-([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """One event of a job's durable stream; `data` is as the script wrote it."""

    ref: JobRef
    id: str
    type: EventType
    data: dict[str, Any]


def event_order(id: str) -> tuple[int, int]:
    """The sort key of an event id, `milliseconds-sequence`; (0, 0), before all, for other text."""
    found = _EVENT_ID.fullmatch(id)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@dataclass(frozen=True, slots=True)
class StepUpdate:
    """A job's latest step. Not durable: a missed one is of no use."""

    ref: JobRef
    progress: Progress


@dataclass(frozen=True, slots=True)
class PreviewUpdate:
    """A preview of one of a job's unfinished images. Not durable either."""

    ref: JobRef
    preview: Preview


# An update is an event of the job's durable stream, or progress that is not stored.
TransientUpdate: TypeAlias = StepUpdate | PreviewUpdate
JobUpdate: TypeAlias = LedgerEvent | TransientUpdate


class Feed:
    """All updates of one ledger. Pub/sub keeps nothing: after a break, read the streams again."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger

    async def listen(self) -> AsyncIterator[JobUpdate | None]:
        """Updates as they come; None whenever the channel was subscribed (again, after a break).

        Raises LedgerUnavailable, also when the connection is silent for 2 * QUIET_S.
        """
        while True:
            is_subscribed = False
            try:
                async with aclosing(self._connected()) as updates:
                    async for update in updates:
                        is_subscribed = True
                        yield update
            except RedisError as error:
                if not is_subscribed:
                    raise (outage(error) or LedgerUnavailable()) from error

    async def _connected(self) -> AsyncGenerator[JobUpdate | None]:
        # A bare connection: redis-py's PubSub takes ten times as long for a message.
        pool = self._ledger.client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            channel = redis_keys.key(self._ledger.channels, "updates")
            await connection.send_command("SUBSCRIBE", channel)
            is_pinged = False
            while True:
                message = await connection.read_response(timeout=QUIET_S)
                if message is None:  # nothing happens, or the connection is dead
                    if is_pinged:
                        raise LedgerUnavailable
                    await connection.send_command("PING", check_health=False)
                is_pinged = message is None
                for update in _updates(message) if message else ():
                    yield update
        finally:
            await connection.disconnect(nowait=True)
            await pool.release(connection)


def _updates(message: Sequence[str]) -> Sequence[JobUpdate | None]:
    match message:
        case ["subscribe", *_]:
            return [None]
        case ["message", _, text]:
            return _read(text)
    return ()


def _read(text: str) -> Sequence[JobUpdate]:
    update = json.loads(text)
    if "steps" in update:
        return [
            StepUpdate(JobRef.parse(ref), Progress(step=step, steps=steps))
            for ref, step, steps in update["steps"]
        ]
    if "preview" in update:
        ref, index, step, jpeg = update["preview"]
        preview = Preview(index=index, step=step, url=f"data:image/jpeg;base64,{jpeg}")
        return [PreviewUpdate(JobRef.parse(ref), preview)]
    ref = JobRef.parse(update["ref"])
    return [LedgerEvent(ref, update["id"], EventType(update["type"]), update["data"])]
