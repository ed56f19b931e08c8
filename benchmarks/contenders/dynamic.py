"""Request-level dynamic batching at its best: equal requests anywhere in the queue, no window."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")


def next_group(waiting: Sequence[T], likeness: Callable[[T], Hashable], cap: int) -> list[T]:
    """The oldest request and those like it, oldest first; at most `cap`."""
    return [one for one in waiting if likeness(one) == likeness(waiting[0])][:cap]
