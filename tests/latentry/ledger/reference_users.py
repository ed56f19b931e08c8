"""A reference of how the users of one tenant take turns."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.latentry.ledger.reference import ReferenceJob

NOBODY = "-"


def user_id(name: str) -> str:
    """How the ledger calls a user, or the user of all jobs that name none."""
    return sha256(name.encode()).hexdigest()[:32] if name else NOBODY


class ReferenceUsers:
    """The users of one tenant; `time` is None while they take no turns."""

    def __init__(self) -> None:
        self.time: int | None = None
        self.least = 0
        self.tags: dict[str, int] = {}
        self.waiting: dict[tuple[str, str], int] = {}

    def enter(self, job: ReferenceJob, models: Iterable[str]) -> None:
        """Before the job is in its queue. `models`: of the queues in which the tenant waits."""
        if self.time is None:
            if job.user == NOBODY:
                return
            self.time = self.least = 0
            self.waiting = {(model, NOBODY): 0 for model in models}
        if (job.model, job.user) not in self.waiting:
            if job.user not in self.tags:
                self.tags[job.user] = max(self.time, self.least)
                self.least = self.tags[job.user] + 1
            self.waiting[job.model, job.user] = self.tags[job.user]

    def leave(self, job: ReferenceJob, own: Iterable[ReferenceJob]) -> None:
        """`own`: what the tenant still has waiting in this queue."""
        if not any(other.user == job.user for other in own):
            self.waiting.pop((job.model, job.user), None)
        if not self.waiting:
            self.time, self.tags = None, {}

    def next(self, model: str, own: list[ReferenceJob]) -> tuple[int, ReferenceJob]:
        """The tag and the job that is next of these, which are in order."""
        if self.time is None:
            return 0, own[0]
        tag, user = min(
            (tag, user) for (where, user), tag in self.waiting.items() if where == model
        )
        return tag, next(job for job in own if job.user == user)

    def charge(self, job: ReferenceJob, *, is_turn: bool) -> None:
        if self.time is not None:
            start = max(self.time, self.tags.get(job.user, self.time))
            if is_turn:
                self.time = start
                self.tags = {user: tag for user, tag in self.tags.items() if tag > start}
            self._set(job.user, start + 1000 * job.cost_ms)

    def refund(self, job: ReferenceJob) -> None:
        if self.time is not None:
            self._set(job.user, self.tags.get(job.user, self.time) - 1000 * job.cost_ms)

    def _set(self, user: str, tag: int) -> None:
        self.tags[user] = tag
        self.waiting |= {turn: tag for turn in self.waiting if turn[1] == user}
