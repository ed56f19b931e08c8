"""The end of a command that draws: its images as files, or what to do about their job."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from latentry.cli.progress import followed
from latentry.client import Client, JobDidNotSucceed, Unreachable
from latentry.client.saving import clip_path, image_path
from latentry.contracts import Image, Job, JobStatus, OutputKind
from latentry.errors import LatentryError

INTERRUPTED: Final = 130

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the whole job as JSON, with the URLs of its images.")
]


def refuse_unwritable(output: Path | None) -> None:
    """Raises typer.BadParameter if no file can be made there, before anything is drawn."""
    folder = Path() if output is None else output if output.is_dir() else output.parent
    if not folder.is_dir():
        raise typer.BadParameter(f"--output {output}: there is no folder {folder}.")
    if not os.access(folder, os.W_OK):
        raise typer.BadParameter(f"--output {output or folder}: {folder} cannot be written to.")


def succeeded(client: Client, job: Job, output: Path | None) -> Job:
    """The job with its images; Ctrl-C cancels it. Raises JobDidNotSucceed, or Unreachable."""
    try:
        job = followed(client, job, output)
    except KeyboardInterrupt:
        typer.echo(_canceled(client, job), err=True)
        raise typer.Exit(INTERRUPTED) from None
    except Unreachable as error:
        raise type(error)(f"{error} {_may_continue(job)}") from error
    if job.status is not JobStatus.SUCCEEDED:
        raise JobDidNotSucceed(job)
    return job


def save_all(
    client: Client,
    job: Job,
    output: Path | None,
    *,
    as_json: bool = False,
    clip_alone: bool = False,
) -> None:
    """Save the images of a job and its steps, and print where, or the whole job as JSON.

    `clip_alone`: save no frames beside the file of all.
    """
    for warning in job.warnings:
        typer.echo(f"{warning.message} ({warning.code})", err=True)
    try:
        for image in () if clip_alone else job.images:
            save(client, image, image_path(output, job, image.index), err=as_json)
        for one in job.outputs:
            if one.kind is OutputKind.CLIP:
                save(client, one, clip_path(output, job, one), err=as_json)
            elif not one.kind.is_final:
                path = image_path(output, job, one.index, name=one.name)
                save(client, one, path, err=as_json)
    except (OSError, LatentryError):
        typer.echo(f"Job {job.id} succeeded; `latentry fetch {job.id}` saves its images.", err=True)
        raise
    if as_json:
        typer.echo(job.model_dump_json(indent=2))


def save(client: Client, image: Image, path: Path, *, err: bool = False) -> None:
    """Download a picture into a file, and print its name; `err`: on standard error."""
    path.write_bytes(client.download(image))
    typer.echo(f"{path}  seed {image.seed}", err=err)


def _canceled(client: Client, job: Job) -> str:
    try:
        job = client.cancel(job.id)
    except (LatentryError, KeyboardInterrupt):
        return _may_continue(job)
    if job.status is JobStatus.SUCCEEDED:
        return f"Job {job.id} has succeeded already; `latentry fetch {job.id}` saves its images."
    return f"Job {job.id} is {job.status}."


def _may_continue(job: Job) -> str:
    return (
        f"Job {job.id} may go on: `latentry fetch {job.id}` saves its images,"
        f" `latentry cancel {job.id}` ends it."
    )
