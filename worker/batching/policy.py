"""Which orders join, and which images share the next UNet call. Pure: time is an argument."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from worker.batching.call_costs import LONE_ROWS, Costs
from worker.batching.key import BatchKey

# Keys take turns; a round of one call each may last this many times the longest acceptable call.
_ROUND: Final = 2.0


class Candidate(Protocol):
    """A trajectory, or an order that waits to become one, as the policy sees it."""

    @property
    def key(self) -> BatchKey:
        """Rows with an equal key may share a call."""

    @property
    def rows(self) -> int:
        """How many rows of a call it takes: one, or two with guidance."""

    @property
    def since(self) -> float:
        """Seconds on the engine's clock when it last stepped, or arrived."""


C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Batch(Generic[C]):
    """One UNet call: its members, and exactly how many rows it has, padding included."""

    key: BatchKey
    members: tuple[C, ...]
    rows: int


def next_batch(candidates: Sequence[C], *, costs: Costs) -> Batch[C] | None:
    """Form the next batch, or None without candidates.

    Keys take turns, earliest deadline first (Liu & Layland 1973): a step is due one call of
    LONE_ROWS of its own size after the last. So a small picture steps more often than a large one
    beside it, in proportion to their costs, and none starves. The candidate due first takes along
    all of its key that fit.

    A strict call always has its bucket's rows; fast candidates of the same size may take those
    that are empty, which changes no bit of the others.
    """
    if not candidates:
        return None
    calls = {key: costs.seconds(key, LONE_ROWS) for key in {one.key for one in candidates}}
    first = min(candidates, key=lambda one: one.since + calls[one.key])
    key = first.key
    by_wait = sorted(candidates, key=lambda one: one.since)
    fitting = [one for one in by_wait if one.key == key and one is not first]
    if key.is_strict:
        fitting += [one for one in by_wait if one.key == key.fast]
    limit = costs.cap(key)
    members, taken = [first], first.rows
    for one in fitting:
        if taken + one.rows <= limit:
            members.append(one)
            taken += one.rows
    return Batch(key, tuple(members), key.bucket or taken)


def next_to_join(
    waiting: Sequence[C], stepping: Sequence[Candidate], *, costs: Costs, now: float
) -> C | None:
    """Which of those waiting, in order of arrival, starts now; None if none may.

    A candidate whose key has free rows in its call may; one that needs more of them than come free
    one by one is overtaken by others of its key for a round, and then no longer. One of a new key
    may while a round of all keys stays bounded; once it has waited longer than such a round, none
    may overtake it.
    """
    taken = _rows(stepping)
    full: set[BatchKey] = set()  # keys of which somebody waits for rows and is not to be overtaken
    round_s = sum(costs.seconds(key, rows) for key, rows in taken.items())
    for one in waiting:
        if any(key.shallow and key.full == one.key for key in taken):
            continue  # it joins at their next full call, so that all share one DeepCache phase
        if one.key in taken:
            if one.key not in full and taken[one.key] + one.rows <= costs.cap(one.key):
                return one
            lone_s = costs.seconds(one.key, LONE_ROWS)
            if now - one.since > _ROUND * costs.max_slowdown * lone_s:
                full.add(one.key)
            continue  # rows of its key come free as images finish
        own_s = costs.seconds(one.key, one.rows)
        shortest = min([own_s, *(costs.seconds(key, LONE_ROWS) for key in taken)])
        longest_round = _ROUND * costs.max_slowdown * shortest
        if not taken or round_s + own_s <= longest_round:
            return one
        if now - one.since > longest_round:
            return None
    return None


def room(waiting: Sequence[Candidate], stepping: Sequence[Candidate], *, costs: Costs) -> int:
    """How many more images to claim, not knowing their size.

    As many as would find a row if they had a key in use, less those that wait already; and always
    one that waits, so that a row is taken as soon as it is free, and another size gets its turn.
    Never more: no other worker can draw what is claimed here.
    """
    free = [(costs.cap(key) - rows) // 2 for key, rows in _rows(stepping).items()]
    most = max(free) if free else costs.max_rows // 2
    return max(0, max(1, most) - len(waiting))


def _rows(members: Sequence[Candidate]) -> Counter[BatchKey]:
    taken: Counter[BatchKey] = Counter()
    for one in members:
        taken[one.key] += one.rows
    return taken
