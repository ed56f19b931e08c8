"""`latentry fetch`."""

from pathlib import Path
from typing import Annotated

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.progress import followed
from latentry.cli.results import INTERRUPTED, AsJson, refuse_unwritable, save_all
from latentry.client import JobDidNotSucceed
from latentry.contracts import Job, JobStatus


def fetch(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Job id.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Output file or folder; JOB-ID.png if omitted."),
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Wait for a job and save its images."""
    refuse_unwritable(output)
    with connect(url, api_key) as client:
        job: Job = client.get(job_id)
        try:
            job = job if job.done else followed(client, job, output)
        except KeyboardInterrupt:
            typer.echo(f"Job {job.id} goes on; `latentry cancel {job.id}` ends it.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        if job.status is not JobStatus.SUCCEEDED:
            raise JobDidNotSucceed(job)
        save_all(client, job, output, as_json=as_json)
