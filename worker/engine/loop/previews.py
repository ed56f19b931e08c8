"""Previews of unfinished images: a few at each step of the loop, and never waited for."""

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, Generic

from latentry.errors import JobFailed
from worker.engine.loop.backend import Backend, Pictures, T
from worker.engine.loop.messages import Preview

# All other images wait at a step boundary for this many tiny decodes, which are one call.
MOST: Final = 4


class Previews(Generic[T]):
    """Images due for a preview, and previews that the device is decoding. No picture changes."""

    def __init__(self, backend: Backend[T]) -> None:
        self._backend = backend
        self._due: dict[T, int] = {}
        self._decoding: deque[tuple[dict[T, int], Pictures]] = deque()

    def watch(self, images: Sequence[T], every: int) -> None:
        """Show the first of a job's images once, after a step that `every` divides.

        Nothing is to do where the request itself wants previews.
        """
        if images and not images[0].order.request.preview_interval:
            min(images, key=lambda one: one.order.index).watched_every = every

    def step_done(self, member: T) -> None:
        """A step of this image is done, after which its request or a watcher may want a preview."""
        interval = member.order.request.preview_interval or member.watched_every
        if interval and member.step % interval == 0:
            self._due[member] = member.step  # one that still waits is shown as it is now
            member.watched_every = 0

    def step(self, stepping: Collection[T]) -> list[Preview]:
        """Decode some of those that wait longest; the previews of images still being drawn."""
        self._due = {one: step for one, step in self._due.items() if one in stepping}
        if self._due:
            key = next(iter(self._due)).key
            shown = [one for one in self._due if one.key == key][:MOST]
            steps = {one: self._due.pop(one) for one in shown}
            self._decoding.append((steps, self._backend.preview(shown)))
        previews: list[Preview] = []
        while self._decoding and self._decoding[0][1].ready:
            steps, pictures = self._decoding.popleft()
            for (one, step), picture in zip(steps.items(), pictures.take(), strict=True):
                if one in stepping and not isinstance(picture, JobFailed):
                    previews.append(Preview(one.order.job, one.order.index, step, picture))
        return previews
