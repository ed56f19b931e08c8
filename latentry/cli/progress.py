"""Following a job in the terminal: a progress bar, and previews as files."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from latentry.client import Client
from latentry.client.saving import image_path
from latentry.contracts import Event, EventType, Job, JobStatus, Preview
from latentry.errors import LatentryError

_WHILE_RUNNING: Final = frozenset(
    {EventType.RUNNING, EventType.STEP, EventType.PREVIEW, EventType.OUTPUT, EventType.IMAGE}
)
QUEUE_POLL_S: Final = 2.0
"""A queued job has no events, so its place is asked for."""


def followed(client: Client, job: Job, output: Path | None) -> Job:
    """The job at its end. A terminal shows its steps meanwhile; previews are saved as they come."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task(_queued(job.queue_position), total=job.request.total_steps)
        done = len(job.images)
        with _queue_shown(client, job, progress, bar) as started:
            for event in client.events(job.id):
                if event.type is not EventType.QUEUED:
                    started.set()
                done += event.type is EventType.IMAGE
                said = _description(event, done, job.request.pictures)
                progress.update(bar, description=said, refresh=event.type is not EventType.STEP)
                if event.progress:
                    progress.update(bar, completed=event.progress.step, total=event.progress.steps)
                if event.preview:
                    _save(event.preview, image_path(output, job, event.preview.index))
                job = event.job or job
    return job


@contextmanager
def _queue_shown(
    client: Client, job: Job, progress: Progress, bar: TaskID
) -> Iterator[threading.Event]:
    """Shows the place of a job in the queue until the event is set, which says that it started."""
    started = threading.Event()

    def look() -> None:
        while not started.wait(QUEUE_POLL_S):
            try:
                now = client.get(job.id)
            except LatentryError:
                return  # whoever follows the events says it
            if now.status is not JobStatus.QUEUED:
                return
            progress.update(bar, description=_queued(now.queue_position), refresh=True)

    if not progress.disable and job.status is JobStatus.QUEUED:
        threading.Thread(target=look, daemon=True).start()
    try:
        yield started
    finally:
        started.set()


def _queued(position: int | None) -> str:
    return f"queued, {position} of your jobs before it" if position else "queued"


def _description(event: Event, done: int, n: int) -> str:
    if event.type is EventType.QUEUED:
        return _queued(event.position)
    if event.type not in _WHILE_RUNNING:
        return event.type.value
    return f"running, {done} of {n} images" if n > 1 else "running"


def _save(preview: Preview, path: Path) -> None:
    """The latest preview beside the image's file; each replaces the one before."""
    _, _, encoded = preview.url.partition(",")
    path.with_name(f"{path.stem}-preview.jpg").write_bytes(base64.b64decode(encoded))
