"""`latentry fetch`."""

from typing import Annotated

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.results import AsJson, Output, Show, refuse_unwritable, save_all
from latentry.cli.exits import Exit
from latentry.cli.terminal.progress import Board
from latentry.client import JobDidNotSucceed
from latentry.contracts import Job, JobStatus


def fetch(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Job id.")],
    output: Output = None,
    *,
    show: Show = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Wait for a job and save its images."""
    refuse_unwritable(output, ())  # what can be said before its images are known
    with connect(url, api_key) as client:
        job: Job = client.get(job_id)
        refuse_unwritable(output, [job.request.pictures])
        try:
            with Board(shows=show is True) as board:
                job = job if job.done else board.follow(client, job, output)
        except KeyboardInterrupt:
            typer.echo(f"Job {job.id} goes on; `latentry cancel {job.id}` ends it.", err=True)
            raise typer.Exit(Exit.INTERRUPTED) from None
        if job.status is not JobStatus.SUCCEEDED:
            raise JobDidNotSucceed(job)
        save_all(client, job, output, board, as_json=as_json, show=show)
