"""A reference of start-time fair queueing over the tenants that wait, and over their users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.latentry.ledger.reference_users import ReferenceUsers

if TYPE_CHECKING:
    from tests.latentry.ledger.reference import ReferenceJob


def tenant_queue(queue: Iterable[ReferenceJob], tenant: str) -> list[ReferenceJob]:
    """A tenant's own jobs of a queue, by score; suspects are not among them."""
    own = [job for job in queue if job.ref.tenant == tenant and not job.crashes]
    return sorted(own, key=lambda job: job.score)


@dataclass(frozen=True, slots=True)
class Head:
    """What would be next of one queue."""

    tag: int
    user_tag: int
    job: ReferenceJob

    def goes_before(self, other: Head) -> bool:
        """The tags of two tenants' users have nothing to do with each other."""
        is_own = self.job.ref.tenant == other.job.ref.tenant
        mine, theirs = ((one.user_tag if is_own else 0, one.job.score) for one in (self, other))
        return (self.tag, *mine) < (other.tag, *theirs)


class ReferenceFairness:
    """Tags of tenants: those above the clock, and those of the queues where they wait."""

    def __init__(self) -> None:
        self.virtual_time = 0
        self.tags: dict[str, int] = {}
        self.tenants: dict[tuple[str, str], int] = {}
        self.weights: dict[tuple[str, str], int] = {}
        self.users = defaultdict[str, ReferenceUsers](ReferenceUsers)

    def tag_of(self, tenant: str) -> int:
        return self.tags.get(tenant, self.virtual_time)

    def enter(self, job: ReferenceJob) -> None:
        if not job.crashes:
            waits_for = [model for model, tenant in self.tenants if tenant == job.ref.tenant]
            self.users[job.ref.tenant].enter(job, waits_for)
            self.tenants.setdefault((job.model, job.ref.tenant), self.tag_of(job.ref.tenant))
            self.weights[job.model, job.ref.tenant] = job.weight

    def leave(self, job: ReferenceJob, queue: list[ReferenceJob]) -> None:
        own = tenant_queue(queue, job.ref.tenant)
        self.users[job.ref.tenant].leave(job, own)
        if not own:
            self.tenants.pop((job.model, job.ref.tenant), None)
            self.weights.pop((job.model, job.ref.tenant), None)

    def share_of(self, model: str, tenant: str, weight: int, places: int) -> int:
        """How many of so many places are a tenant's, among those of the tenants that wait."""
        waiting = {who: w for (where, who), w in self.weights.items() if where == model}
        return places * weight // sum((waiting | {tenant: weight}).values())

    def next(
        self, queue: list[ReferenceJob], models: Sequence[str]
    ) -> tuple[int, ReferenceJob] | None:
        """The tag and the job that is next."""
        best: Head | None = None
        for model in models:
            tags = [
                (tag, tenant) for (where, tenant), tag in self.tenants.items() if where == model
            ]
            if tags:
                tag, tenant = min(tags)
                own = tenant_queue([job for job in queue if job.model == model], tenant)
                head = Head(tag, *self.users[tenant].next(model, own))
                best = best if best and not head.goes_before(best) else head
        return best and (best.tag, best.job)

    def charge(self, job: ReferenceJob, tag: int, *, is_turn: bool) -> None:
        start = max(self.virtual_time, tag)
        if is_turn:
            self.virtual_time = start
            self.tags = {tenant: tag for tenant, tag in self.tags.items() if tag > start}
        self._set(job.ref.tenant, start + job.stride)
        self.users[job.ref.tenant].charge(job, is_turn=is_turn)

    def refund(self, job: ReferenceJob) -> None:
        self._set(job.ref.tenant, self.tag_of(job.ref.tenant) - job.stride)
        self.users[job.ref.tenant].refund(job)

    def _set(self, tenant: str, tag: int) -> None:
        self.tags[tenant] = tag
        self.tenants |= {turn: tag for turn in self.tenants if turn[1] == tenant}
