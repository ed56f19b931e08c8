"""Previews of tasks, which are made and kept only while somebody looks."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from latentry.ledger.connection import Command
from latentry.ledger.leases import Lease
from latentry.ledger.refs import JobRef

WATCHED_MS: Final = 15_000  # from the last look; clients look every one to five seconds
_INDEX_FACTOR: Final = 10_000  # more than the steps of an image


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """What an unfinished image of a task is heading for, after `step`. `jpeg`: in base64."""

    index: int
    step: int
    jpeg: str

    @property
    def number(self) -> int:
        """The same for the same picture, which another worker would make again."""
        return self.index * _INDEX_FACTOR + self.step

    @classmethod
    def read(cls, answer: Sequence[str]) -> Self | None:
        """From what `watch` returns."""
        return cls(int(answer[0]), int(answer[1]), answer[2]) if answer else None


def watch(task: JobRef, *, every: int) -> Command[TaskPreview | None]:
    """The latest preview of a running job; its worker makes more after every so many steps.

    None: there is none so far, or it does not run. The caller knows that the job is its own.
    """
    return Command("instances/watch", (str(task), WATCHED_MS, every), TaskPreview.read)


def keep_preview(lease: Lease, index: int, step: int, jpeg: bytes) -> Command[bool]:
    """Keep a preview for those who look. False: nobody does, or the lease is lost."""
    text = base64.b64encode(jpeg).decode()
    return Command("instances/keep_preview", (str(lease.ref), lease.fence, index, step, text), bool)
