"""`latentry generate`."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from latentry.cli.connect import HERE, ApiKey, Url, connect
from latentry.client import Client, JobDidNotSucceed
from latentry.client.fields import Fields
from latentry.contracts import (
    Determinism,
    Event,
    EventType,
    Job,
    JobStatus,
    OutputFormat,
    PromptSyntax,
)

FORMATS: Final = {
    ".png": OutputFormat.PNG,
    ".jpg": OutputFormat.JPEG,
    ".jpeg": OutputFormat.JPEG,
    ".webp": OutputFormat.WEBP,
}
INTERRUPTED: Final = 130


def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture should show.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file; JOB-ID.png if left out.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="One of `latentry models`.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What it should not show.")] = None,
    prompt_syntax: Annotated[
        PromptSyntax | None, typer.Option(help="plain: brackets and colons mean themselves.")
    ] = None,
    clip_skip: Annotated[
        int | None, typer.Option(help="Text encoder layers to skip; 1 is A1111's Clip skip 2.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    num_inference_steps: Annotated[
        int | None, typer.Option("--steps", "--num-inference-steps", help="Denoising steps.")
    ] = None,
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance", "--guidance-scale", help="1 or less is off.")
    ] = None,
    guidance_rescale: Annotated[
        float | None, typer.Option(help="0 to 1: how far to take back guidance's contrast.")
    ] = None,
    guidance_stop: Annotated[
        float | None, typer.Option(help="Fraction of the calls after which guidance stops.")
    ] = None,
    cache_interval: Annotated[
        int | None, typer.Option(help="Only one in so many calls is whole; 1 is off.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="The noise-stepping method.")] = None,
    spacing: Annotated[
        str | None, typer.Option(help="Of its noise levels: karras, exponential, …")
    ] = None,
    original_size: Annotated[
        tuple[int, int] | None, typer.Option(metavar="HEIGHT WIDTH", help="SDXL: as if scaled.")
    ] = None,
    crops_coords_top_left: Annotated[
        tuple[int, int] | None, typer.Option(metavar="TOP LEFT", help="SDXL: as if cropped.")
    ] = None,
    target_size: Annotated[
        tuple[int, int] | None, typer.Option(metavar="HEIGHT WIDTH", help="SDXL: as if for it.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Repeats a picture; else drawn.")] = None,
    n: Annotated[int | None, typer.Option("-n", "--n", help="How many pictures.")] = None,
    output_format: Annotated[
        OutputFormat | None, typer.Option("--format", help="By the file's name if left out.")
    ] = None,
    determinism: Annotated[
        Determinism | None, typer.Option(help="strict: the same pixels whatever the batch.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Your own labels.")
    ] = None,
    url: Url = HERE,
    api_key: ApiKey = None,
) -> None:
    """Draw pictures and save them."""
    given = {
        "model": model,
        "negative_prompt": negative_prompt,
        "prompt_syntax": prompt_syntax,
        "clip_skip": clip_skip,
        "width": width,
        "height": height,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "guidance_rescale": guidance_rescale,
        "guidance_stop": guidance_stop,
        "cache_interval": cache_interval,
        "sampler": sampler,
        "spacing": spacing,
        "original_size": original_size,
        "crops_coords_top_left": crops_coords_top_left,
        "target_size": target_size,
        "seed": seed,
        "n": n,
        "output_format": output_format or _format_of(output),
        "determinism": determinism,
        "metadata": _labels(metadata),
    }
    fields = Fields(**{name: value for name, value in given.items() if value is not None})  # type: ignore[typeddict-item]
    with connect(url, api_key) as client:
        job = _drawn(client, client.submit(prompt, **fields))
        for warning in job.warnings:
            typer.echo(f"{warning.message} ({warning.code})", err=True)
        for image in job.images:
            path = _path(output, job, image.index)
            path.write_bytes(client.download(image))
            typer.echo(f"{path}  seed {image.seed}  {image.url}")


def _drawn(client: Client, job: Job) -> Job:
    """The job with its pictures; Ctrl-C cancels it."""
    try:
        job = _followed(client, job)
    except KeyboardInterrupt:
        job = client.cancel(job.id)
        typer.echo(f"Job {job.id} is {job.status}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if job.status is not JobStatus.SUCCEEDED:
        raise JobDidNotSucceed(job)
    return job


def _followed(client: Client, job: Job) -> Job:
    """The job at its end; a terminal shows its steps meanwhile."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as shown:
        bar = shown.add_task("queued", total=job.request.num_inference_steps)
        for event in client.events(job.id):
            shown.update(bar, description=_words(event))
            if event.progress:
                shown.update(bar, completed=event.progress.step, total=event.progress.steps)
            job = event.job or job
    return job


def _words(event: Event) -> str:
    if event.type is EventType.QUEUED and event.position:
        return f"queued behind {event.position}"
    is_drawn = event.type in (EventType.STEP, EventType.PREVIEW, EventType.IMAGE)
    return "drawing" if is_drawn else event.type.value


def _path(output: Path | None, job: Job, index: int) -> Path:
    path = output or Path(job.id + job.request.output_format.suffix)
    return path if job.request.n == 1 else path.with_stem(f"{path.stem}-{index + 1}")


def _format_of(output: Path | None) -> OutputFormat | None:
    if output is None:
        return None
    if output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(
            f"{output} should end in {', '.join(FORMATS)}; or name a --format."
        )
    return FORMATS[output.suffix.lower()]


def _labels(pairs: list[str] | None) -> dict[str, str] | None:
    if pairs is None:
        return None
    if not all("=" in pair for pair in pairs):
        raise typer.BadParameter("--metadata takes KEY=VALUE.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
