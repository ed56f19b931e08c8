"""The tasks of an instance: its latest jobs, under the ids that its client knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from latentry.contracts import JobStatus
from latentry.ledger.connection import Command
from latentry.ledger.instances.options import InstanceRef
from latentry.ledger.refs import JobRef

TASKS_TTL_MS: Final = 3_600_000  # from the last task on
MAX_TASKS: Final = 128
MAX_TASK_ID: Final = 128  # characters


@dataclass(frozen=True, slots=True)
class Task:
    """A job of an instance as it stands, under the client's own id. Times are Unix ms.

    `state`: None where the job is there no longer. `images`: how many it makes.
    """

    ref: JobRef
    id: str
    state: JobStatus | None = None
    step: int = 0
    steps: int = 0
    images: int = 1
    created_ms: int = 0
    started_ms: int | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether its job waits or runs."""
        return self.state is not None and not self.state.is_terminal

    @classmethod
    def read(cls, tenant: str, row: Sequence[Any]) -> Self:
        """From one row that `list_tasks` returns."""
        named, state, step, steps, images, created, started = row
        job, _, id = named.partition(" ")
        return cls(
            ref=JobRef(tenant, job),
            id=id,
            state=JobStatus(state) if state else None,
            step=int(step or 0),
            steps=int(steps or 0),
            images=int(images or 1),
            created_ms=int(created or 0),
            started_ms=int(started) if started else None,
        )


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of an instance, the oldest first, at this Unix time in ms."""

    now_ms: int
    every: tuple[Task, ...] = ()

    @property
    def unfinished(self) -> tuple[Task, ...]:
        """Those whose jobs wait or run."""
        return tuple(task for task in self.every if task.is_unfinished)

    @property
    def waiting(self) -> tuple[Task, ...]:
        """Those whose jobs wait."""
        return tuple(task for task in self.every if task.state is JobStatus.QUEUED)


def enter_task(whose: InstanceRef, job: JobRef, id: str) -> Command[bool]:
    """Enter a job as a task. Of more than MAX_TASKS the oldest that have ended are forgotten."""
    args = (whose.tenant, whose.key_id, TASKS_TTL_MS, MAX_TASKS, job.id, id)
    return Command("instances/enter_task", args, bool)


def list_tasks(whose: InstanceRef) -> Command[Tasks]:
    """What of its tasks is known."""

    def read(answer: Sequence[Any]) -> Tasks:
        now_ms, *rows = answer
        return Tasks(now_ms, tuple(Task.read(whose.tenant, row) for row in rows))

    return Command("instances/list_tasks", (whose.tenant, whose.key_id), read)
