"""Finished latents on their way to being pictures."""

import math
from collections import deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Generic, TypeAlias

import numpy as np

from latentry.errors import JobFailed
from worker.batching import BatchKey
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import Backend, Pictures, T

Decoded: TypeAlias = tuple[T, Pixels | JobFailed]


@dataclass(slots=True)
class Clip:
    """A clip on its way through the VAE: how many frames were sent off, and those that are back."""

    sent: int = 0
    frames: list[Pixels] = field(default_factory=list)


class Decoding(Generic[T]):
    """A queue of finished latents, and those that the device is decoding."""

    def __init__(self, backend: Backend[T]) -> None:
        self._backend = backend
        self._finished: list[T] = []
        self._decoding: deque[tuple[list[T], Pictures]] = deque()
        self._clips: dict[T, Clip] = {}  # of those whose first frames were sent off

    @property
    def is_empty(self) -> bool:
        """Whether no picture is missing."""
        return not (self._finished or self._decoding)

    @property
    def members(self) -> list[T]:
        """Those whose picture is missing."""
        decoding = (one for members, _ in self._decoding for one in members)
        return [*dict.fromkeys((*self._finished, *decoding))]

    def add(self, member: T) -> None:
        """A latent is finished."""
        self._finished.append(member)

    def fail(self, member: T) -> None:
        """Its picture will not be drawn."""
        self._finished = [one for one in self._finished if one is not member]
        self._clips.pop(member, None)

    def drop(self, job: str) -> list[T]:
        """Take out a job's latents that are not being decoded so far."""
        dropped = [one for one in self._finished if one.order.job == job]
        for one in dropped:
            self.fail(one)
        return dropped

    def decode_some(self, *, but: AbstractSet[T]) -> int:
        """Send off the oldest finished latent, and a quarter of many with it, if of its size.

        How many latents, or frames of a clip. `but`: those that wait for something else.
        So a single picture stalls the loop by one decode, a burst is decoded within a few steps,
        and the queue stays bounded however many finish in each step.
        """
        finished = [one for one in self._finished if one not in but]
        if not finished:
            return 0
        if finished[0].key.frames > 1:
            return self._decode_frames(finished[0])
        alike = _alike(finished[0])
        most = 1 if finished[0].key.is_strict else math.ceil(len(finished) / 4)
        members = [one for one in finished if _alike(one) == alike][:most]
        for one in members:
            self._finished.remove(one)
        self._decoding.append((members, self._backend.decode(members)))
        return len(members)

    def take(self, *, wait: bool) -> Iterator[Decoded[T]]:
        """The pictures that have arrived from the device, or with `wait` all of them.

        Of a clip all frames at once, [frames, H, W, 3], after the last one has arrived.
        """
        while self._decoding and (wait or self._decoding[0][1].ready):
            members, pictures = self._decoding.popleft()
            if members[0].key.frames > 1:
                yield from self._take_frames(members[0], pictures.take())
            else:
                yield from zip(members, pictures.take(), strict=True)

    def _decode_frames(self, member: T) -> int:
        """Send off a quarter of a clip's frames that are left, one in strict mode; then the next
        clip's turn.
        """
        clip = self._clips.setdefault(member, Clip())
        left = range(clip.sent, member.key.frames)
        frames = left[: 1 if member.key.is_strict else math.ceil(len(left) / 4)]
        clip.sent = frames.stop
        self._finished.remove(member)
        if clip.sent < member.key.frames:
            self._finished.append(member)
        self._decoding.append(([member], self._backend.decode_frames(member, frames)))
        return len(frames)

    def _take_frames(self, member: T, answers: list[Pixels | JobFailed]) -> Iterator[Decoded[T]]:
        """The clip, if these are its last frames; or why it will not be drawn."""
        if (clip := self._clips.get(member)) is None:  # it has failed, or was dropped
            return
        for answer in answers:
            if isinstance(answer, JobFailed):
                self.fail(member)
                yield member, answer
                return
            clip.frames.append(answer)
        if len(clip.frames) == member.key.frames:
            del self._clips[member]
            yield member, np.stack(clip.frames)


def _alike(member: T) -> tuple[BatchKey, str | None]:
    """What latents have in common that one call of a VAE decodes."""
    return member.key, member.order.vae
