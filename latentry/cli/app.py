"""The commands."""

from typing import Annotated

import typer
from rich import filesize

from latentry import __version__
from latentry.cli import admin, fetch, generate, jobs, serve, upscale
from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.options import option_name
from latentry.cli.provenance import verify
from latentry.cli.sequences import clip, interpolate
from latentry.cli.tables import add, show, table
from latentry.contracts import Job, Model

app = typer.Typer(
    help="Generate images from text prompts with a latentry service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("generate", context_settings={"token_normalize_func": option_name})(generate.generate)
app.command("clip", context_settings={"token_normalize_func": option_name})(clip.clip)
app.command("interpolate", context_settings={"token_normalize_func": option_name})(
    interpolate.interpolate
)
app.command("fetch")(fetch.fetch)
app.command("list")(jobs.list_jobs)
app.command("watch")(jobs.watch)
app.command("usage")(jobs.usage)
app.command("upscale")(upscale.upscale)
app.command("verify")(verify.verify)
app.command("serve")(serve.serve)
app.command("demo")(serve.demo)
app.command("keys", context_settings=admin.SETTINGS)(admin.keys)
app.command("webhooks", context_settings=admin.SETTINGS)(admin.webhooks)

JobId = Annotated[str, typer.Argument(metavar="ID", help="Job id.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Generate images from text prompts with a latentry service."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def models(url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the models of the service."""
    with connect(url, api_key) as client:
        found = client.models().data
    rows = table("model", "size", "steps", "guidance", "samplers", "workers")
    for model in found:
        add(rows, *_row(model))
    show(rows)
    for model in found:
        for warning in model.warnings:
            typer.echo(f"{model.id}: {warning}", err=True)


@app.command()
def upscalers(url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the upscalers of the service."""
    with connect(url, api_key) as client:
        found = client.upscalers().data
    rows = table("upscaler", "architecture", "scale", "workers")
    for one in found:
        add(rows, one.id, one.architecture, f"{one.scale:g}", str(one.workers))
    show(rows)
    for one in found:
        for warning in one.warnings:
            typer.echo(f"{one.id}: {warning}", err=True)


@app.command()
def adapters(url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the adapters of the service: LoRAs, embeddings, ControlNets and others."""
    with connect(url, api_key) as client:
        found = client.adapters().data
    names = ("adapter", "kind", "family", "models", "rank or vectors", "size", "trigger words")
    rows = table(*names)
    for one in found:
        size, words = filesize.decimal(one.size_bytes), ", ".join(one.trigger_words)
        models, counted = ", ".join(one.models), str(one.vectors or one.rank or "")
        add(rows, one.id, one.kind.value, one.family, models, counted, size, words)
    show(rows)
    for one in found:
        if one.reason:
            typer.echo(f"{one.id}: {one.reason}", err=True)
        if known := one.suggests:
            options = f"--sampler {known.sampler} --spacing {known.spacing}"
            options += f" --steps {known.num_inference_steps} --guidance {known.guidance_scale:g}"
            typer.echo(f"{one.id} is for few steps: {options}", err=True)


@app.command()
def styles(url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the styles of the service."""
    with connect(url, api_key) as client:
        found = client.styles().data
    rows = table("style", "prompt", "negative prompt")
    for style in found:
        add(rows, style.name, style.prompt, style.negative_prompt)
    show(rows)


@app.command()
def status(
    job_id: JobId,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole job as JSON.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Print the state of a job."""
    with connect(url, api_key) as client:
        job = client.get(job_id)
    typer.echo(job.model_dump_json(indent=2) if as_json else "\n".join(_lines(job)))


@app.command()
def cancel(job_id: JobId, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Cancel a job."""
    with connect(url, api_key) as client:
        job = client.cancel(job_id)
    typer.echo(f"Job {job.id} is {job.status}.")


def _row(model: Model) -> tuple[str, ...]:
    defaults = model.defaults
    return (
        model.id,
        f"{defaults.width}×{defaults.height}",
        str(defaults.num_inference_steps),
        f"{defaults.guidance_scale:g}",
        ", ".join(model.samplers),
        str(model.workers),
    )


def _lines(job: Job) -> list[str]:
    progress = f", step {job.progress.step} of {job.progress.steps}" if job.progress else ""
    before = job.queue_position
    position = "" if before is None else f", {before} of your jobs before it"
    return [
        f"Job {job.id} is {job.status}{progress}{position}.",
        *(f"{warning.message} ({warning.code})" for warning in job.warnings),
        *([f"{job.error.message} ({job.error.code})"] if job.error else []),
        *(f"Image {at.index + 1}: {at.width}×{at.height}, seed {at.seed}." for at in job.images),
        *([f"`latentry fetch {job.id}` saves them; --json has the URLs."] if job.images else []),
    ]
