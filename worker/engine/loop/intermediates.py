"""Steps that are stored as pictures of their own: a few decodes at each step of the loop."""

import math
from collections import deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Generic

from latentry.contracts import IntermediateKind
from latentry.contracts.fields.intermediates import name_of
from latentry.errors import JobFailed
from latentry.rules.pricing import intermediates, made_steps
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import Backend, Pictures, T
from worker.engine.loop.messages import Order


class Intermediates(Generic[T]):
    """Images that have made a step which is to be stored, and what the device is decoding of them.

    Such an image makes no further step, and is not decoded itself, before its step is on the host.
    So its checkpoint lacks no earlier step, whatever happens; what waits is bounded by the rows;
    and an image that wants many pictures waits for them by itself, while others step on.
    """

    def __init__(self, backend: Backend[T]) -> None:
        self._backend = backend
        self._due: deque[tuple[T, IntermediateKind]] = deque()
        self._decoding: deque[tuple[T, IntermediateKind, Pictures]] = deque()

    @property
    def members(self) -> AbstractSet[T]:
        """The images that wait for a picture of their step."""
        return {one for one, _ in self._due} | {one for one, *_ in self._decoding}

    def step_done(self, member: T) -> None:
        """A step of this image is done, now or before its checkpoint was taken."""
        order, step = member.order, member.step
        wanted = order.request.intermediates
        if wanted is None or step not in made_steps(order.request):
            return
        kinds = (kind for kind in wanted.due(step) if name_of(kind, step) not in order.listed)
        self._due.extend((member, kind) for kind in kinds)

    def drop(self, job: str) -> None:
        """Forget a job's images."""
        self._due = deque(one for one in self._due if one[0].order.job != job)
        self._decoding = deque(one for one in self._decoding if one[0].order.job != job)

    def decode_some(self, *, is_alone: bool) -> None:
        """Send off the oldest one; a quarter of many if no image steps meanwhile (`is_alone`).

        One by one, in fast mode too: so a picture costs all that step just one decode.
        """
        for _ in range(math.ceil(len(self._due) / 4) if is_alone else min(1, len(self._due))):
            member, kind = self._due.popleft()
            self._decoding.append((member, kind, self._backend.show(member, kind)))

    def take(self, *, wait: bool) -> Iterator[tuple[T, IntermediateKind, Pixels | JobFailed]]:
        """The pictures that have arrived from the device, or with `wait` all of them."""
        while self._decoding and (wait or self._decoding[0][2].ready):
            member, kind, pictures = self._decoding.popleft()
            [picture] = pictures.take()
            yield member, kind, picture

    def fail(self, member: T) -> None:
        """The image has ended: nothing more of it is stored."""
        self._due = deque(one for one in self._due if one[0] is not member)
        self._decoding = deque(one for one in self._decoding if one[0] is not member)


def are_stored(order: Order, *, before: int) -> bool:
    """Whether all that was due before this step is listed: else it would be missing in the end."""
    wanted = intermediates(order.request)
    return all(name in order.listed for name, step in wanted.items() if step < before)
