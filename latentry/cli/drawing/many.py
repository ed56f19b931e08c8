"""Several requests at once: each is drawn and saved by itself."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock
from typing import TypeAlias

import typer

from latentry.cli.drawing.asked import Asked
from latentry.cli.drawing.formats import numbered
from latentry.cli.drawing.results import canceled, save_all
from latentry.cli.exits import Exit, exit_of
from latentry.cli.terminal.progress import Board, short
from latentry.client import Client, JobDidNotSucceed, Unreachable
from latentry.client.many_jobs.as_done import in_threads
from latentry.contracts import Job, JobStatus
from latentry.errors import LatentryError

Numbered: TypeAlias = tuple[int, Asked]


def draw(
    client: Client,
    asked: Sequence[Asked],
    output: Path | None,
    concurrency: int,
    *,
    as_json: bool,
    show: bool | None,
) -> None:
    """Draw and save all; `concurrency` jobs at once. Ctrl-C cancels those under way.

    Prints each when it is there. Raises typer.Exit if one of them failed, and Unreachable.
    """
    has_previews = any("preview_interval" in one.fields for one in asked)
    shows = show is True or (show is None and has_previews)
    with Board(total=len(asked), shows=shows) as board:
        drawing = _Drawing(client, board, output, len(asked), as_json=as_json, show=show is True)
        failures = list[Exception]()
        try:
            for number, failure in in_threads(drawing.draw, list(enumerate(asked)), concurrency):
                if isinstance(failure, Unreachable):
                    raise failure  # it would be so for all others
                if failure is not None:
                    failures.append(failure)
                    board.say(f"{short(asked[number].name)}: {failure}", err=True)
        except KeyboardInterrupt:
            drawing.cancel()
            raise typer.Exit(Exit.INTERRUPTED) from None
    if failures:
        typer.echo(f"{len(failures)} of {len(asked)} failed.", err=True)
        codes = {exit_of(failure) for failure in failures}
        raise typer.Exit(codes.pop() if len(codes) == 1 else Exit.FAILED)


class _Drawing:
    """What the threads share: the client, the bars, and which jobs are under way."""

    def __init__(
        self,
        client: Client,
        board: Board,
        output: Path | None,
        total: int,
        *,
        as_json: bool,
        show: bool,
    ) -> None:
        self._client, self._board, self._output, self._total = client, board, output, total
        self._as_json, self._show = as_json, show
        self._jobs: dict[int, Job] = {}
        self._lock, self._stopped = Lock(), Event()

    def draw(self, numbered_one: Numbered) -> Exception | None:
        """Draw and save one; what it failed with, if it did."""
        number, one = numbered_one
        path = numbered(self._output, number, self._total)
        try:
            job = self._jobs[number] = one.submit(self._client)
            if self._stopped.is_set():  # too late for `cancel` to see it
                job = self._client.cancel(job)
            job = self._board.follow(self._client, job, path, one.name)
            if job.status is not JobStatus.SUCCEEDED:
                raise JobDidNotSucceed(job)
            with self._lock:  # so that the lines of a job stay together
                save_all(
                    self._client, job, path, self._board, as_json=self._as_json, show=self._show
                )
        except (LatentryError, OSError) as error:
            return error
        finally:
            self._jobs.pop(number, None)
            self._board.count()
        return None

    def cancel(self) -> None:
        """Cancel the jobs under way, and say so."""
        self._stopped.set()
        jobs = list(self._jobs.values())
        ended = [canceled(self._client, job) for job in jobs]
        self._board.say("\n".join(ended) or "No job was under way.", err=True)
