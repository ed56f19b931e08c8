"""Which models leave memory for another: a pure rule, values in and values out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occupant:
    """A resident model as the rule sees it.

    `needed_at` and `resident_at`: as in ServedModel, in seconds. It `is_free` if nothing is drawn
    with it and no order that may begin waits for it. One that `is_draining` takes no new orders
    and will be free.
    """

    model: str
    size_bytes: int
    needed_at: float
    resident_at: float
    is_free: bool
    is_draining: bool
    has_had_its_turn: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """Models to evict now, least recently needed first; one to drain, to be evicted later."""

    evict: tuple[str, ...] = ()
    drain: str | None = None


def make_room(needed_bytes: int, occupants: Sequence[Occupant], budget_bytes: int) -> Decision:
    """What to evict, so that a model of `needed_bytes` fits into a budget of `budget_bytes`.

    None is evicted in vain: if the free ones are not enough, all stay. If those that drain would
    not be enough either, the one loaded first drains too, once it has had its turn.
    """
    excess = sum(one.size_bytes for one in occupants) + needed_bytes - budget_bytes
    free = sorted((one for one in occupants if one.is_free), key=lambda one: one.needed_at)
    if _size(free) >= excess:
        return Decision(evict=_enough(free, excess))
    leaving = [one for one in occupants if one.is_free or one.is_draining]
    if _size(leaving) >= excess:
        return Decision()
    staying = [one for one in occupants if one not in leaving]
    first = min(staying, key=lambda one: one.resident_at, default=None)
    if first is None or not first.has_had_its_turn:
        return Decision()
    return Decision(drain=first.model)


def _enough(free: Sequence[Occupant], excess: int) -> tuple[str, ...]:
    """As many of the free ones, from the first on, as have `excess` bytes together."""
    evicted: list[str] = []
    for one in free:
        if excess <= 0:
            break
        evicted.append(one.model)
        excess -= one.size_bytes
    return tuple(evicted)


def _size(occupants: Collection[Occupant]) -> int:
    return sum(one.size_bytes for one in occupants)
