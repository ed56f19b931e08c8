"""One reader of the ledger's updates per process, which fans them out to subscriptions.

A subscriber never misses a durable event: it subscribes first, then reads the job's stream, then
takes what arrived meanwhile, and skips what it has seen by event id. Whenever updates may have been
lost (the connection broke, the subscription was full) it reads the stream again. Of steps and
previews only the latest are kept.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

import structlog

from latentry.errors import LedgerMisconfigured, LedgerUnavailable
from latentry.ledger import (
    AsyncLedger,
    Feed,
    JobRef,
    JobUpdate,
    LedgerEvent,
    commands,
    event_order,
)
from service.jobs.subscription import Subscription

log = structlog.get_logger()

_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_REREAD_S: Final = 1.0


class EventHub:
    """Listens to the ledger once and gives each subscription its job's updates."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self.is_closed = False
        self.refusal: LedgerMisconfigured | None = None
        """Why the ledger lets nobody listen, while it does not."""
        self._ledger = ledger
        self._subscriptions: dict[JobRef, set[Subscription]] = {}

    async def run(self) -> None:
        """Listen until canceled, through every outage of the ledger."""
        failures = 0
        while True:
            try:
                async for update in Feed(self._ledger).listen():
                    failures, self.refusal = 0, None
                    self._publish(update)
            except LedgerUnavailable as error:
                self.refusal = error if isinstance(error, LedgerMisconfigured) else None
                log.warning("event_hub.interrupted", failures=failures, why=error.message)
            except Exception:
                log.exception("event_hub.crashed")
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1

    def close(self) -> None:
        """End every subscription, and those to come: the process is shutting down."""
        self.is_closed = True
        for subscription in self._all():
            subscription.close()

    async def follow(
        self,
        ref: JobRef,
        *,
        after: str = "",
        within_s: float | None = None,
        ends_only: bool = False,
        expected: Subscription | None = None,
    ) -> AsyncGenerator[JobUpdate]:
        """A job's updates after an event id.

        Ends with the job's terminal event, when the job is deleted, after `within_s`, or at
        `close`. `ends_only`: what comes before its end may be left out. `expected`: what
        `expecting` gave before the job was created.
        """
        last, subscription = after, expected or Subscription(ends_only=ends_only)
        with self._subscribed(ref, subscription, within_s):
            while not subscription.is_closed:
                has_gap, events, transient = await subscription.take()
                unread = await self._unread(ref, last, subscription) if has_gap else events
                if unread is None:
                    return
                for event in unread:
                    if event_order(event.id) > event_order(last):
                        last = event.id
                        yield event
                        if event.type.is_terminal:
                            return
                for update in transient:
                    yield update

    @contextmanager
    def expecting(self, ref: JobRef) -> Iterator[Subscription]:
        """Subscribe to the end of a job before it is created: its stream need not be read."""
        subscription = Subscription(ends_only=True, has_gap=False)
        with self._subscribed(ref, subscription):
            yield subscription

    async def ended(
        self, ref: JobRef, *, within_s: float, expected: Subscription | None = None
    ) -> None:
        """Return when the job has ended, after `within_s` seconds, or at `close`."""
        updates = self.follow(ref, within_s=within_s, ends_only=True, expected=expected)
        async with aclosing(updates):
            async for _ in updates:
                pass

    async def _unread(
        self, ref: JobRef, last: str, subscription: Subscription
    ) -> list[LedgerEvent] | None:
        # The durable events after `last` from the ledger; None if no more can come.
        after = commands.list_events(ref, after=last)
        try:
            if events := await self._ledger.run(after):
                return events
            record = await self._ledger.run(commands.get(ref))
            if record and not record.state.is_terminal:
                return []
            return await self._ledger.run(after) or None  # it may have ended between the two
        except LedgerUnavailable:
            await asyncio.sleep(_REREAD_S)
            subscription.mark_gap()
            return []

    @contextmanager
    def _subscribed(
        self, ref: JobRef, subscription: Subscription, within_s: float | None = None
    ) -> Iterator[None]:
        if self.is_closed:
            subscription.close()
        group = self._subscriptions.setdefault(ref, set())
        group.add(subscription)
        # A timer instead of a cancellation, which redis-py may swallow (see `service.background`).
        timer = within_s and asyncio.get_running_loop().call_later(within_s, subscription.close)
        try:
            yield
        finally:
            if timer:
                timer.cancel()
            group.discard(subscription)
            if not group and self._subscriptions.get(ref) is group:
                del self._subscriptions[ref]

    def _publish(self, update: JobUpdate | None) -> None:
        if update is None:  # the channel was subscribed anew: earlier updates may be lost
            for subscription in self._all():
                subscription.mark_gap()
            return
        for subscription in self._subscriptions.get(update.ref, ()):
            subscription.put(update)

    def _all(self) -> Iterator[Subscription]:
        return (each for group in self._subscriptions.values() for each in group)
