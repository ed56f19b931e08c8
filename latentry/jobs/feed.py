"""What the ledger says as it happens: one subscription per process."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from redis.exceptions import RedisError

from latentry.contracts import EventType, Progress
from latentry.errors import LedgerUnavailable
from latentry.jobs import keys
from latentry.jobs.ledger import AsyncLedger
from latentry.jobs.records import JobRef, LedgerEvent


@dataclass(frozen=True, slots=True)
class StepNews:
    """A job's latest step. Not durable: a missed one is of no use."""

    ref: JobRef
    progress: Progress


class Feed:
    """All news of one ledger. Pub/sub forgets: after a break, read the streams again."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger

    async def listen(self) -> AsyncIterator[LedgerEvent | StepNews | None]:
        """News as they come; None once the subscription stands. Raises LedgerUnavailable."""
        try:
            async with self._ledger.client.pubsub() as channel:
                await channel.subscribe(keys.key(self._ledger.root, "news"))
                yield None
                while True:
                    message = await channel.get_message(ignore_subscribe_messages=True, timeout=2.0)
                    for news in _read(message["data"]) if message else ():
                        yield news
        except RedisError as error:
            raise LedgerUnavailable from error


def _read(text: str) -> list[LedgerEvent | StepNews]:
    said = json.loads(text)
    if "steps" in said:
        return [
            StepNews(JobRef.parse(ref), Progress(step=step, steps=steps))
            for ref, step, steps in said["steps"]
        ]
    ref = JobRef.parse(said["ref"])
    return [LedgerEvent(ref, said["id"], EventType(said["type"]), said["data"])]
