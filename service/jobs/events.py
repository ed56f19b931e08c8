"""One reader of the ledger's news per process, and a mailbox for every client that waits for some.

A waiter never misses a durable event: it subscribes first, then reads the job's stream, then takes
what came meanwhile, each event once by its id. Whenever news may have been lost (the connection
broke, the mailbox was full) it reads the stream again. Steps and previews are
latest-only.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

import structlog

from latentry.errors import LedgerUnavailable
from latentry.ledger import (
    AsyncLedger,
    Feed,
    JobRef,
    JobUpdate,
    LedgerEvent,
    StepUpdate,
    TransientUpdate,
    commands,
    event_order,
)

log = structlog.get_logger()

ROOM: Final = 32
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_REREAD_S: Final = 1.0


class Mailbox:
    """What one reader has yet to read. Its size does not depend on the reader's pace."""

    __slots__ = ("_arrived", "_events", "_hears_steps", "_passing", "has_gap", "is_closed")

    def __init__(self, *, hears_steps: bool = True) -> None:
        self._hears_steps = hears_steps
        self._events: deque[LedgerEvent] = deque()
        self._passing: dict[int | None, TransientUpdate] = {}
        self._arrived = asyncio.Event()
        self.has_gap = False
        self.is_closed = False
        self.lose()

    def put(self, news: JobUpdate) -> None:
        """Something happened."""
        if not isinstance(news, LedgerEvent):  # the latest step, and preview of each image
            if not self._hears_steps:
                return
            self._passing[None if isinstance(news, StepUpdate) else news.preview.index] = news
        elif len(self._events) < ROOM:
            self._events.append(news)
        else:
            self.lose()
        self._arrived.set()

    def lose(self) -> None:
        """Durable news may be missing here: the stream has to be read."""
        self._events.clear()
        self.has_gap = True
        self._arrived.set()

    def close(self) -> None:
        """Nothing will come any more."""
        self.is_closed = True
        self._arrived.set()

    async def take(self) -> tuple[bool, list[LedgerEvent], list[TransientUpdate]]:
        """Wait for news, and empty the box: (gap?, events, latest step and previews)."""
        await self._arrived.wait()
        self._arrived.clear()
        taken = self.has_gap, list(self._events), list(self._passing.values())
        self.has_gap = False
        self._events.clear()
        self._passing.clear()
        return taken


class EventHub:
    """Hears everything once and tells each waiter what concerns it."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger
        self._mailboxes: dict[JobRef, set[Mailbox]] = {}
        self._is_closed = False

    async def run(self) -> None:
        """Listen until cancelled, through every outage of the ledger."""
        failures = 0
        while True:
            try:
                async for news in Feed(self._ledger).listen():
                    failures = 0
                    self._publish(news)
            except LedgerUnavailable:
                log.warning("news.interrupted", failures=failures)
            except Exception:
                log.exception("news.broke")
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1

    def close(self) -> None:
        """End every stream: the process is leaving."""
        self._is_closed = True
        for mailbox in self._all():
            mailbox.close()

    async def follow(
        self,
        ref: JobRef,
        *,
        after: str = "",
        within_s: float | None = None,
        hears_steps: bool = True,
    ) -> AsyncGenerator[JobUpdate]:
        """A job's news from an event id on, until it ends or is removed, time is up, or `close`."""
        last = after
        with self._subscription(ref, within_s, Mailbox(hears_steps=hears_steps)) as mailbox:
            while not mailbox.is_closed:
                has_gap, events, passing = await mailbox.take()
                missed = await self._missed(ref, last, mailbox) if has_gap else events
                if missed is None:
                    return
                for event in missed:
                    if event_order(event.id) > event_order(last):
                        last = event.id
                        yield event
                        if event.type.is_terminal:
                            return
                for news in passing:
                    yield news

    async def ended(self, ref: JobRef, *, within_s: float) -> None:
        """Return when a job has ended, when the time is up, or at `close`."""
        async with aclosing(self.follow(ref, within_s=within_s, hears_steps=False)) as updates:
            async for _ in updates:
                pass

    async def _missed(self, ref: JobRef, last: str, mailbox: Mailbox) -> list[LedgerEvent] | None:
        # None: there is nothing more to come.
        unread = commands.events(ref, after=last)
        try:
            if events := await self._ledger.run(unread):
                return events
            record = await self._ledger.run(commands.get(ref))
            if record and not record.state.is_terminal:
                return []
            return await self._ledger.run(unread) or None  # it may have ended between the two
        except LedgerUnavailable:
            await asyncio.sleep(_REREAD_S)
            mailbox.lose()
            return []

    @contextmanager
    def _subscription(
        self, ref: JobRef, within_s: float | None, mailbox: Mailbox
    ) -> Iterator[Mailbox]:
        if self._is_closed:
            mailbox.close()
        self._mailboxes.setdefault(ref, set()).add(mailbox)
        # A timer rather than a cancellation, which redis-py may swallow (see `Gateway.running`).
        timer = within_s and asyncio.get_running_loop().call_later(within_s, mailbox.close)
        try:
            yield mailbox
        finally:
            if timer:
                timer.cancel()
            self._mailboxes[ref].discard(mailbox)
            if not self._mailboxes[ref]:
                del self._mailboxes[ref]

    def _publish(self, news: JobUpdate | None) -> None:
        if news is None:  # a new subscription: nobody knows what was said before it
            for mailbox in self._all():
                mailbox.lose()
            return
        for mailbox in self._mailboxes.get(news.ref, ()):
            mailbox.put(news)

    def _all(self) -> Iterator[Mailbox]:
        return (mailbox for group in self._mailboxes.values() for mailbox in group)
