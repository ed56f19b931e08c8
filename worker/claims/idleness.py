"""How long a worker that had room left a job waiting: 0, unless a wake-up is lost or late."""

from collections.abc import Callable, Iterable
from typing import Final

import structlog

from latentry.ledger import Lease

log = structlog.get_logger()

SIGNAL_S: Final = 0.25  # what the ledger's signal may take to arrive, on a busy machine


class Idleness:
    """Counts seconds for which there was room and nobody looked, while a job waited.

    How long it waited is known of jobs that were never claimed before, by the ledger's clock.
    `clock`: seconds of a monotonic clock.
    """

    def __init__(self, on_idled: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._on_idled = on_idled
        self._clock = clock
        self._room_since: float | None = None
        self._looked_at = 0.0
        self._unlooked_s = 0.0

    def offered(self, *, has_room: bool) -> None:
        """The step loop made an offer."""
        if not has_room:
            self._room_since = None
        elif self._room_since is None:
            self._room_since = self._clock()

    def look(self) -> None:
        """A look at the queues begins."""
        now, since = self._clock(), self._room_since
        self._unlooked_s = 0.0 if since is None else now - max(since, self._looked_at)

    def found(self, leases: Iterable[Lease]) -> None:
        """These jobs were waiting."""
        waited = (one.record.queue_ms or 0 for one in leases if one.record.claims == 1)
        idled_s = min(self._unlooked_s, max(waited, default=0) / 1000)
        if idled_s > SIGNAL_S:
            log.warning("worker.idled", seconds=round(idled_s, 3))
            self._on_idled(idled_s)

    def looked(self) -> None:
        """The look has ended, whatever it found."""
        self._looked_at = self._clock()
