"""`latentry list`, `status`, `watch`, `cancel` and `usage`: of jobs that exist already."""

from collections.abc import Iterable
from datetime import date, datetime
from itertools import islice
from typing import Annotated, cast

import typer
from rich.table import Table

from latentry.cli import tables
from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.results import SEEDLESS, after_cancel
from latentry.cli.exits import Exit
from latentry.cli.fields.values import labels
from latentry.client.filters import Filters
from latentry.contracts import Event, EventType, Image, Job, JobKind, JobStatus

_PROMPT, _FEW = 48, 15  # characters of a row; in a narrow terminal
_DAY, _TIME = "YYYY-MM-DD", "TIME"

JobId = Annotated[str, typer.Argument(metavar="ID", help="Job id.")]


States = Annotated[
    list[JobStatus] | None,
    typer.Option(
        metavar="STATE",
        help="Only jobs in this state: queued, running, succeeded, failed, canceled or expired;"
        " repeatable.",
    ),
]
OfModel = Annotated[str | None, typer.Option(metavar="ID", help="Only jobs of this model.")]
Kind = Annotated[JobKind | None, typer.Option(help="Only jobs of this kind.")]
Labels = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Only jobs with this label; repeatable."),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        metavar=_TIME,
        help="Only jobs created then or later: 2026-11-30, or 2026-11-30T08:00:00; local time.",
    ),
]
Until = Annotated[datetime | None, typer.Option(metavar=_TIME, help="Only jobs created before.")]
Limit = Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="Most jobs to list.")]
AsLines = Annotated[bool, typer.Option("--json", help="Print each as JSON, one a line.")]


def list_jobs(
    status: States = None,
    model: OfModel = None,
    kind: Kind = None,
    metadata: Labels = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    *,
    as_json: AsLines = False,
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
        tables.show(_table(found))


def watch(
    job_id: JobId,
    *,
    as_json: AsLines = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Print what happens to a job, until its end. Exit code 1 if it does not succeed."""
    end: EventType | None = None
    with connect(url, api_key) as client:
        for event in client.events(job_id):
            end = event.type
            if as_json:
                typer.echo(event.model_dump_json(exclude_none=True))
            elif said := _said(event):
                typer.echo(said)
        # The stream of a job that ended long ago is empty.
        status = client.get(job_id).status.value if end is None else end.value
    if status != JobStatus.SUCCEEDED:
        raise typer.Exit(Exit.FAILED)


def status(
    job_id: JobId,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole job as JSON.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Print the state of a job."""
    with connect(url, api_key) as client:
        job = client.get(job_id)
    typer.echo(job.model_dump_json(indent=2) if as_json else "\n".join(_lines(job)))


def cancel(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs.")],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Cancel jobs. Exit code 1 if one had ended otherwise before."""
    with connect(url, api_key) as client:
        jobs = [client.cancel(job_id) for job_id in job_ids]
    for job in jobs:
        typer.echo(after_cancel(job))
    if any(job.done and job.status is not JobStatus.CANCELED for job in jobs):
        raise typer.Exit(Exit.FAILED)


def usage(
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar=_DAY, help="First day; 30 days ago if omitted."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar=_DAY, help="Last day; today if omitted."),
    ] = None,
    *,
    as_json: AsLines = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Print what your keys used, by day (UTC)."""
    with connect(url, api_key) as client:
        found = client.usage(_day(since), _day(until)).data
    if as_json:
        for one in found:
            typer.echo(one.model_dump_json())
        return
    rows = tables.table("day", "key", "jobs", "images", "step megapixels")
    for one in found:
        jobs = ", ".join(f"{count} {state}" for state, count in one.jobs.items() if count)
        tables.add(rows, str(one.day), one.key, jobs, str(one.images), f"{one.step_megapixels:.2f}")
    tables.show(rows)


def _day(time: datetime | None) -> date | None:
    return None if time is None else time.date()


def _table(jobs: Iterable[Job]) -> Table:
    if tables.is_narrow():
        rows = tables.table("job", "created", "state", "prompt")
        for job in jobs:
            created = job.created_at.astimezone().strftime("%m-%d %H:%M")
            tables.add(rows, job.id, created, job.status, _short(job, _FEW))
        return rows
    rows = tables.table("job", "created", "state", "kind", "model", "prompt")
    for job in jobs:
        created = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        model = getattr(job.request, "model", "") or getattr(job.request, "upscaler", "")
        tables.add(rows, job.id, created, job.status, job.kind, model, _short(job, _PROMPT))
    return rows


def _short(job: Job, characters: int) -> str:
    prompt = " ".join(getattr(job.request, "prompt", "").split())
    return prompt if len(prompt) <= characters else f"{prompt[: characters - 1]}…"


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


def _image(job: Job, image: Image) -> str:
    seed = "" if job.kind in SEEDLESS else f", seed {image.seed}"
    return f"Image {image.index + 1}: {image.width}×{image.height}{seed}."


def _lines(job: Job) -> list[str]:
    progress = f", step {job.progress.step} of {job.progress.steps}" if job.progress else ""
    has = "has" if job.done and job.status is not JobStatus.CANCELED else "is"
    before = job.queue_position
    position = "" if before is None else f", {before} of your jobs before it"
    return [
        f"Job {job.id} {has} {job.status}{progress}{position}.",
        *(f"{warning.message} ({warning.code})" for warning in job.warnings),
        *([f"{job.error.message} ({job.error.code})"] if job.error else []),
        *([job.caption] if job.caption is not None else []),
        *(_image(job, at) for at in job.images),
        *([f"`latentry fetch {job.id}` saves them; --json has the URLs."] if job.images else []),
    ]
