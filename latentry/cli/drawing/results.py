"""The end of a command that draws: its images as files, or what to do about their job."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from latentry.cli.drawing.formats import numbered
from latentry.cli.exits import Exit
from latentry.cli.terminal.progress import Board
from latentry.client import Client, JobDidNotSucceed, Unreachable
from latentry.client.saving import clip_path, image_path, numbered_path
from latentry.contracts import Image, Job, JobKind, JobStatus, OutputKind
from latentry.errors import LatentryError

FILES: Final = "Files"  # the heading under which --help has them
SEEDLESS: Final = frozenset({JobKind.UPSCALE, JobKind.CONTROL})  # drawn from pictures alone

AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the whole job as JSON, with the URLs of its images.",
        rich_help_panel=FILES,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="Output file or folder; JOB-ID.png if omitted.",
        rich_help_panel=FILES,
    ),
]
Show = Annotated[
    bool | None,
    typer.Option(
        "--show/--no-show",
        help="Show images in the terminal, if it can; by default previews alone. LATENTRY_PICTURES"
        " says how: kitty, iterm2, sixel, blocks or off.",
        rich_help_panel=FILES,
    ),
]


def refuse_unwritable(output: Path | None, pictures: Sequence[int] = (1,)) -> None:
    """Raises typer.BadParameter if no file can be made there, before anything is drawn.

    pictures: how many images each request makes, which are numbered.
    """
    folder = Path() if output is None else output if output.is_dir() else output.parent
    if not folder.is_dir():
        raise typer.BadParameter(f"--output {output}: there is no folder {folder}.")
    for place in _places(output, folder, pictures):
        if not os.access(place, os.W_OK) or (place.is_dir() and place != folder):
            raise typer.BadParameter(f"--output {output or folder}: {place} cannot be written to.")


def _places(output: Path | None, folder: Path, pictures: Sequence[int]) -> Iterator[Path]:
    """Each file that is there already, and the folder of those that are new."""
    if output is None or output == folder:  # they are named by their jobs
        yield folder
        return
    for number, total in enumerate(pictures):
        path = numbered(output, number, len(pictures)) or output
        for file in (numbered_path(path, index, total) for index in range(total)):
            yield file if file.exists() else folder


def finish(
    client: Client,
    job: Job,
    output: Path | None,
    *,
    as_json: bool = False,
    show: bool | None = None,
    clip_alone: bool = False,
) -> None:
    """Wait for a job and save what it made; Ctrl-C cancels it.

    Raises JobDidNotSucceed, Unreachable, or OSError.
    """
    has_previews = getattr(job.request, "preview_interval", None) is not None
    shows = show is True or (show is None and has_previews)
    with Board(shows=shows) as board:
        job = succeeded(client, job, output, board)
    save_all(client, job, output, board, as_json=as_json, show=show, clip_alone=clip_alone)


def succeeded(client: Client, job: Job, output: Path | None, board: Board) -> Job:
    """The job with its images; Ctrl-C cancels it. Raises JobDidNotSucceed, or Unreachable."""
    try:
        job = board.follow(client, job, output)
    except KeyboardInterrupt:
        typer.echo(canceled(client, job), err=True)
        raise typer.Exit(Exit.INTERRUPTED) from None
    except Unreachable as error:
        raise type(error)(f"{error} {_may_continue(job)}") from error
    if job.status is not JobStatus.SUCCEEDED:
        raise JobDidNotSucceed(job)
    return job


def save_all(
    client: Client,
    job: Job,
    output: Path | None,
    board: Board,
    *,
    as_json: bool = False,
    show: bool | None = None,
    clip_alone: bool = False,
) -> None:
    """Save the images of a job and its steps; print where, or its caption, or all of it as JSON.

    `show` them too. `clip_alone`: save no frames beside the file of all.
    """
    for warning in job.warnings:
        board.say(f"{warning.message} ({warning.code})", err=True)
    try:
        for one, path in _targets(job, output, clip_alone=clip_alone):
            data = client.download(one)
            path.write_bytes(data)
            if show:
                board.show(data, one)
            seed = "" if job.kind in SEEDLESS else f"  seed {one.seed}"
            board.say(f"{path}{seed}", err=as_json)
    except (OSError, LatentryError):
        board.say(f"Job {job.id} succeeded; `latentry fetch {job.id}` saves its images.", err=True)
        raise
    if as_json:
        board.say(job.model_dump_json(indent=None if board.is_of_many else 2))
    elif job.caption is not None:
        board.say(job.caption)


def _targets(
    job: Job, output: Path | None, *, clip_alone: bool = False
) -> Iterator[tuple[Image, Path]]:
    """All that a job made with the file of each: images, then a clip and what its steps were."""
    for image in () if clip_alone else job.images:
        yield image, image_path(output, job, image.index)
    for one in job.outputs:
        if one.kind is OutputKind.CLIP:
            yield one, clip_path(output, job, one)
        elif not one.kind.is_final:
            yield one, image_path(output, job, one.index, name=one.name)


def canceled(client: Client, job: Job) -> str:
    """Cancel a job, and say what became of it."""
    try:
        job = client.cancel(job.id)
    except (LatentryError, KeyboardInterrupt):
        return _may_continue(job)
    return after_cancel(job)


def after_cancel(job: Job) -> str:
    """What became of a job that was to be canceled."""
    if job.status is JobStatus.SUCCEEDED:
        return f"Job {job.id} has succeeded already; `latentry fetch {job.id}` saves its images."
    if job.status is JobStatus.CANCELED:
        return f"Job {job.id} is canceled."
    if job.done:
        return f"Job {job.id} has {job.status} already."
    return f"Job {job.id} is being canceled: it ends with the step under way."


def _may_continue(job: Job) -> str:
    return (
        f"Job {job.id} may go on: `latentry fetch {job.id}` saves its images,"
        f" `latentry cancel {job.id}` ends it."
    )
