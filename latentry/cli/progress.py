"""Following a job in the terminal: a progress bar, and previews as files."""

import base64
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from latentry.client import Client
from latentry.client.saving import image_path
from latentry.contracts import Event, EventType, Job, Preview

_WHILE_RUNNING: Final = frozenset(
    {EventType.STEP, EventType.PREVIEW, EventType.OUTPUT, EventType.IMAGE}
)


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
        bar = progress.add_task("queued", total=job.request.total_steps)
        for event in client.events(job.id):
            progress.update(bar, description=_description(event))
            if event.progress:
                progress.update(bar, completed=event.progress.step, total=event.progress.steps)
            if event.preview:
                _save(event.preview, image_path(output, job, event.preview.index))
            job = event.job or job
    return job


def _description(event: Event) -> str:
    if event.type is EventType.QUEUED and event.position:
        return f"queued behind {event.position}"
    return "running" if event.type in _WHILE_RUNNING else event.type.value


def _save(preview: Preview, path: Path) -> None:
    """The latest preview beside the image's file; each replaces the one before."""
    _, _, encoded = preview.url.partition(",")
    path.with_name(f"{path.stem}-preview.jpg").write_bytes(base64.b64decode(encoded))
