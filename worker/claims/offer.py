"""How many jobs the step loop could use more, and whether any may wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LOOK_S: Final = 1.0  # how often queues are looked at of which nothing was heard


@dataclass(frozen=True, slots=True)
class Offer:
    """How many jobs the step loop has room for, when it had received `received` claimed jobs.

    `background`: the same for jobs that take no row. `next_free_row_s`: without room, in how many
    seconds a row comes free.
    """

    room: int = 0
    background: int = 0
    received: int = 0
    next_free_row_s: float = 0.0

    def left(self, posted: int) -> "Offer":
        """Less what was posted since it was made, by the count of all that was ever posted.

        Those may have been of either kind: the next offer knows.
        """
        since = posted - self.received
        return Offer(self.room - since, self.background - since, posted, self.next_free_row_s)


@dataclass(slots=True)
class Hint:
    """Whether a job may wait, as far as is known."""

    may_find: bool = True


@dataclass(slots=True)
class Background(Hint):
    """The same of jobs that take no row. Their queues are mostly empty, and asked seldom then."""

    queues: Sequence[str] = ()
    looked_at: float = -LOOK_S

    def is_due(self, room: int, now: float) -> bool:
        """Whether to look for such a job; then this look counts."""
        is_due = bool(self.queues) and room > 0
        if not is_due or not (self.may_find or now >= self.looked_at + LOOK_S):
            return False
        self.looked_at = now
        return True
