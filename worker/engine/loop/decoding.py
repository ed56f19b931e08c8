"""Finished latents on their way to being pictures."""

import math
from collections import deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Generic, TypeAlias

from latentry.errors import JobFailed
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import Backend, Pictures, T

Decoded: TypeAlias = tuple[T, Pixels | JobFailed]


class Decoding(Generic[T]):
    """A queue of finished latents, and those that the device is decoding."""

    def __init__(self, backend: Backend[T]) -> None:
        self._backend = backend
        self._finished: list[T] = []
        self._decoding: deque[tuple[list[T], Pictures]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether no picture is missing."""
        return not (self._finished or self._decoding)

    @property
    def members(self) -> list[T]:
        """Those whose picture is missing."""
        return [*self._finished, *(one for members, _ in self._decoding for one in members)]

    def add(self, member: T) -> None:
        """A latent is finished."""
        self._finished.append(member)

    def fail(self, member: T) -> None:
        """Its picture will not be drawn."""
        self._finished = [one for one in self._finished if one is not member]

    def drop(self, job: str) -> list[T]:
        """Take out a job's latents that are not being decoded so far."""
        dropped = [one for one in self._finished if one.order.job == job]
        self._finished = [one for one in self._finished if one not in dropped]
        return dropped

    def decode_some(self, *, but: AbstractSet[T]) -> None:
        """Send off the oldest finished latent, and a quarter of many with it, if of its size.

        `but`: those that wait for something else.
        So a single picture stalls the loop by one decode, a burst is decoded within a few steps,
        and the queue stays bounded however many finish in each step.
        """
        finished = [one for one in self._finished if one not in but]
        if not finished:
            return
        key = finished[0].key
        most = 1 if key.is_strict else math.ceil(len(finished) / 4)
        members = [one for one in finished if one.key == key][:most]
        for one in members:
            self._finished.remove(one)
        self._decoding.append((members, self._backend.decode(members)))

    def take(self, *, wait: bool) -> Iterator[Decoded[T]]:
        """The pictures that have arrived from the device, or with `wait` all of them."""
        while self._decoding and (wait or self._decoding[0][1].ready):
            members, pictures = self._decoding.popleft()
            yield from zip(members, pictures.take(), strict=True)
