"""One client's subscription to a job's updates: bounded, whatever the pace of its reader."""

import asyncio
from collections import deque
from typing import Final, NamedTuple

from latentry.ledger import JobUpdate, LedgerEvent, StepUpdate, TransientUpdate

MAX_EVENTS: Final = 32


class Pending(NamedTuple):
    """What arrived since the last read."""

    has_gap: bool  # durable events may be missing from `events`: read the job's stream instead
    events: list[LedgerEvent]
    transient: list[TransientUpdate]  # the latest step, and the latest preview of each image


class Subscription:
    """Updates that one reader has yet to read.

    It begins with a gap, as nothing was read yet, unless its job is yet to be created. `ends_only`:
    of what arrives only a terminal event is kept, and wakes the reader.
    """

    def __init__(self, *, ends_only: bool = False, has_gap: bool = True) -> None:
        self.is_closed = False
        self._ends_only = ends_only
        self._has_gap = False
        self._events: deque[LedgerEvent] = deque()
        self._transient: dict[int | None, TransientUpdate] = {}
        self._arrived = asyncio.Event()
        if has_gap:
            self.mark_gap()

    def put(self, update: JobUpdate) -> None:
        """Add an update; past MAX_EVENTS durable events mark a gap instead."""
        if not isinstance(update, LedgerEvent):
            if self._ends_only:
                return
            image = None if isinstance(update, StepUpdate) else update.preview.index
            self._transient[image] = update
        elif self._ends_only and not update.type.is_terminal:
            return
        elif len(self._events) < MAX_EVENTS:
            self._events.append(update)
        else:
            self.mark_gap()
        self._arrived.set()

    def mark_gap(self) -> None:
        """Durable events may have been lost: the reader has to read the job's stream."""
        self._events.clear()
        self._has_gap = True
        self._arrived.set()

    def close(self) -> None:
        """No more updates will come; a waiting reader returns."""
        self.is_closed = True
        self._arrived.set()

    async def take(self) -> Pending:
        """Wait for an update or `close`; then return and clear all that arrived."""
        await self._arrived.wait()
        self._arrived.clear()
        pending = Pending(self._has_gap, list(self._events), list(self._transient.values()))
        self._has_gap = False
        self._events.clear()
        self._transient.clear()
        return pending
