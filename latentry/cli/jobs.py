"""`latentry list`, `watch` and `usage`: what there is, what happens, what was used."""

from collections.abc import Iterable
from datetime import date, datetime
from itertools import islice
from typing import Annotated, Final, cast

import typer
from rich.table import Table

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.tables import add, show, table
from latentry.cli.values import labels
from latentry.client.filters import Filters
from latentry.contracts import Event, EventType, Job, JobKind, JobStatus

_PROMPT: Final = 48  # characters of a row


def list_jobs(
    status: Annotated[
        list[JobStatus] | None, typer.Option(help="Only jobs in this state; repeatable.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs of this model.")] = None,
    kind: Annotated[JobKind | None, typer.Option(help="Only jobs of this kind.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Only jobs with this label; repeatable."),
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only jobs created then or later.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only jobs created before.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Most jobs to list.")] = 20,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each job as JSON, one a line.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List your jobs, newest first."""
    given = {
        "status": status,
        "model": model,
        "kind": kind,
        "metadata": labels("--metadata", metadata),
        "since": since,
        "until": until,
    }
    filters = cast(Filters, {name: value for name, value in given.items() if value})
    with connect(url, api_key) as client:
        found = list(islice(client.list_all(**filters), limit))
    if as_json:
        for job in found:
            typer.echo(job.model_dump_json())
    else:
        show(_table(found))


def watch(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Job id.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event as JSON, one a line.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Print what happens to a job, until its end."""
    with connect(url, api_key) as client:
        for event in client.events(job_id):
            if as_json:
                typer.echo(event.model_dump_json(exclude_none=True))
            elif said := _said(event):
                typer.echo(said)


def usage(
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="30 days ago if omitted.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Today if omitted.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Print what your keys used, by day (UTC)."""
    with connect(url, api_key) as client:
        found = client.usage(_day(since), _day(until)).data
    rows = table("day", "key", "jobs", "images", "step megapixels")
    for one in found:
        jobs = ", ".join(f"{count} {state}" for state, count in one.jobs.items() if count)
        add(rows, str(one.day), one.key, jobs, str(one.images), f"{one.step_megapixels:.2f}")
    show(rows)


def _day(time: datetime | None) -> date | None:
    return None if time is None else time.date()


def _table(jobs: Iterable[Job]) -> Table:
    rows = table("job", "created", "state", "kind", "model", "prompt")
    for job in jobs:
        add(rows, *_row(job))
    return rows


def _row(job: Job) -> tuple[str, ...]:
    prompt = " ".join(getattr(job.request, "prompt", "").split())
    shown = prompt if len(prompt) <= _PROMPT else f"{prompt[: _PROMPT - 1]}…"
    created = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    model = getattr(job.request, "model", "") or getattr(job.request, "upscaler", "")
    return job.id, created, job.status, job.kind, model, shown


def _said(event: Event) -> str:
    match event.type:
        case EventType.STEP if event.progress:
            return f"step {event.progress.step} of {event.progress.steps}"
        case EventType.QUEUED:
            return f"queued, {event.position or 0} of your jobs before it"
        case EventType.IMAGE if event.image:
            return f"image {event.image.index + 1}, seed {event.image.seed}"
        case EventType.OUTPUT if event.output:
            return f"output {event.output.name}"
        case EventType.PREVIEW:
            return ""
        case _:
            error = event.job.error if event.job else None
            return f"{event.type}: {error.message} ({error.code})" if error else str(event.type)
