"""Following jobs in the terminal: a bar for each that is under way, and previews of them."""

import base64
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from latentry.cli.terminal.screen import Screen
from latentry.cli.terminal.text import shown
from latentry.client import Client
from latentry.client.saving import image_path
from latentry.contracts import Event, EventType, Image, Job, JobStatus, Preview
from latentry.errors import LatentryError

_WHILE_RUNNING: Final = frozenset(
    {EventType.RUNNING, EventType.STEP, EventType.PREVIEW, EventType.OUTPUT, EventType.IMAGE}
)
_NAME: Final = 32  # characters of a bar's name
QUEUE_POLL_S: Final = 2.0
"""A queued job has no events, so its place is asked for."""


class Board:
    """The bars of jobs on standard error, if that is a terminal. Threads may share it.

    total: with more than one job, each has its name, and a bar counts those that have ended.
    shows: whether previews and finished images are shown, if the terminal draws pictures.
    """

    def __init__(self, *, total: int = 1, shows: bool = False) -> None:
        console = Console(stderr=True)
        self.is_of_many = total > 1
        self._progress = Progress(
            *(TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,  # `say` writes between the bars, and knows which stream is where
            redirect_stderr=False,
            disable=not console.is_terminal,
        )
        self._screen = Screen.of(console) if shows else None
        self._ended = self._progress.add_task("jobs", total=total, visible=self.is_of_many)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def follow(self, client: Client, job: Job, output: Path | None, name: str = "") -> Job:
        """The job at its end. Its steps are shown meanwhile; previews are saved as they come."""
        before = f"{short(name)}  " if self.is_of_many else ""
        bar = self._progress.add_task(
            before + _queued(job.queue_position), total=job.request.total_steps
        )
        try:
            with self._queue_shown(client, job, bar, before) as started:
                return self._followed(client, job, output, bar, before, started)
        finally:
            self._progress.remove_task(bar)

    def count(self) -> None:
        """One of several jobs has ended, or could not begin."""
        self._progress.advance(self._ended)

    def say(self, line: str, *, err: bool = False) -> None:
        """Print a line on standard output or standard error, above the bars."""
        if self._progress.live.is_started and (err or sys.stdout.isatty()):
            said = Text(line)
            self._progress.console.print(said, soft_wrap=True, highlight=False)
            return
        try:
            typer.echo(line, err=err)
        except BrokenPipeError:  # nobody reads on, as after `| head`: images are saved all the same
            stream = sys.stderr if err else sys.stdout
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())

    def show(self, data: bytes, image: Image) -> None:
        """Show a finished image, whose file this is."""
        if self._screen is not None:
            with self._lock:
                self._screen.show(data, (image.width, image.height))
                self._screen.keep()

    def _followed(
        self,
        client: Client,
        job: Job,
        output: Path | None,
        bar: TaskID,
        before: str,
        started: threading.Event,
    ) -> Job:
        done = len(job.images)
        for event in client.events(job.id):
            if event.type is not EventType.QUEUED:
                started.set()
            done += event.type is EventType.IMAGE
            said = before + _description(event, done, job.request.pictures)
            self._progress.update(bar, description=said, refresh=event.type is not EventType.STEP)
            if event.progress:
                steps = event.progress
                self._progress.update(bar, completed=steps.step, total=steps.steps)
            if event.preview:
                self._preview(event.preview, job, output)
            job = event.job or job
        return job

    def _preview(self, preview: Preview, job: Job, output: Path | None) -> None:
        """The latest preview beside the image's file; each replaces the one before."""
        _, _, encoded = preview.url.partition(",")
        data, path = base64.b64decode(encoded), image_path(output, job, preview.index)
        path.with_name(f"{path.stem}-preview.jpg").write_bytes(data)
        if self._screen is not None:
            size = getattr(job.request, "width", 1), getattr(job.request, "height", 1)
            with self._lock:
                self._screen.show(data, size)

    @contextmanager
    def _queue_shown(
        self, client: Client, job: Job, bar: TaskID, before: str
    ) -> Iterator[threading.Event]:
        """Shows the place of a job in the queue until the event is set: it started."""
        started = threading.Event()

        def look() -> None:
            while not started.wait(QUEUE_POLL_S):
                try:
                    now = client.get(job.id)
                except LatentryError:
                    return  # whoever follows the events says it
                if now.status is not JobStatus.QUEUED:
                    return
                said = before + _queued(now.queue_position)
                self._progress.update(bar, description=said, refresh=True)

        if not self._progress.disable and job.status is JobStatus.QUEUED:
            threading.Thread(target=look, daemon=True).start()
        try:
            yield started
        finally:
            started.set()


def short(name: str) -> str:
    """A prompt as the name of a bar or of a line."""
    one_line = shown(" ".join(name.split()))
    return one_line if len(one_line) <= _NAME else f"{one_line[: _NAME - 1]}…"


def _queued(position: int | None) -> str:
    return f"queued, {position} of your jobs before it" if position else "queued"


def _description(event: Event, done: int, n: int) -> str:
    if event.type is EventType.QUEUED:
        return _queued(event.position)
    if event.type not in _WHILE_RUNNING:
        return event.type.value
    return f"running, {done} of {n} images" if n > 1 else "running"
