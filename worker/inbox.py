"""What one thread leaves for another."""

import queue
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def all_of(left: "queue.SimpleQueue[T]") -> Iterator[T]:
    """Everything in a queue right now."""
    while True:
        try:
            yield left.get_nowait()
        except queue.Empty:
            return
