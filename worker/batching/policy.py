"""The choice of the next batch: what waited longest goes next, and takes along what fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from latentry.contracts import Determinism


@dataclass(frozen=True, slots=True)
class BatchKey:
    """What must be equal for rows to share a UNet call. Height and width are the latent's."""

    model: str
    height: int
    width: int
    chunks: int
    mode: Determinism

    @property
    def is_strict(self) -> bool:
        """Whether the call must have the one shape that strict mode promises."""
        return self.mode is Determinism.STRICT


class Candidate(Protocol):
    """A trajectory as the policy sees it."""

    @property
    def key(self) -> BatchKey:
        """With whom it can share a call."""

    @property
    def rows(self) -> int:
        """How many rows of a call it takes: one, or two with guidance."""

    @property
    def since(self) -> float:
        """When it last stepped, or joined."""


C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Batch(Generic[C]):
    """One UNet call: who is in it, and exactly how many rows it has, padding included."""

    key: BatchKey
    members: tuple[C, ...]
    rows: int


def next_batch(
    candidates: Sequence[C], *, cap: Callable[[BatchKey], int], strict_rows: int
) -> Batch[C] | None:
    """Form the next batch, or None when nobody waits. `cap` is the most rows a fast call may have.

    The candidate that waited longest is always in it, so of n candidates each steps at least once
    in n calls, whatever its size. Both limits must be at least 2, the rows of one trajectory.

    A strict call has always `strict_rows` rows, because a row's bits depend on the shape of its
    call and on nothing else in it; fast candidates may fill its empty rows, never change them.
    """
    if not candidates:
        return None
    queue = sorted(candidates, key=lambda candidate: candidate.since)
    key = queue[0].key
    fitting = [candidate for candidate in queue if candidate.key == key]
    if key.is_strict:
        fast = replace(key, mode=Determinism.FAST)
        fitting += [candidate for candidate in queue if candidate.key == fast]
    limit = strict_rows if key.is_strict else cap(key)
    members, taken = [], 0
    for candidate in fitting:
        if taken + candidate.rows <= limit:
            members.append(candidate)
            taken += candidate.rows
    return Batch(key, tuple(members), strict_rows if key.is_strict else taken)
