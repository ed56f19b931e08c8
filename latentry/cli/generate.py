"""`latentry generate`."""

from pathlib import Path
from typing import Annotated, Final, Unpack

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.options import RequestOptions, request_fields, request_options
from latentry.cli.progress import followed
from latentry.client import Client, JobDidNotSucceed
from latentry.client.saving import image_path
from latentry.contracts import Estimate, Image, Job, JobStatus, OutputFormat

FORMATS: Final = {
    ".png": OutputFormat.PNG,
    ".jpg": OutputFormat.JPEG,
    ".jpeg": OutputFormat.JPEG,
    ".webp": OutputFormat.WEBP,
}
INTERRUPTED: Final = 130


@request_options
def generate(
    prompt: Annotated[
        str | None,
        typer.Argument(help="What the image should show; not needed with --image."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Output file; JOB-ID.png if omitted.")
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Unpack[RequestOptions],
) -> None:
    """Generate images and save them."""
    fields = request_fields(options)
    if file_format := options["output_format"] or _format_of(output):
        fields["output_format"] = file_format
    with connect(url, api_key) as client:
        if options["dry_run"]:
            typer.echo("\n".join(estimate_lines(client.estimate(prompt, **fields))))
            return
        job = succeeded(client, client.submit(prompt, **fields), output)
        for warning in job.warnings:
            typer.echo(f"{warning.message} ({warning.code})", err=True)
        for image in job.images:
            save(client, image, image_path(output, job, image.index))
        for one in job.outputs:
            if not one.kind.is_final:
                save(client, one, image_path(output, job, one.index, name=one.name))


def save(client: Client, image: Image, path: Path) -> None:
    """Download a picture or a clip into a file, and say so."""
    path.write_bytes(client.download(image))
    typer.echo(f"{path}  seed {image.seed}  {image.url}")


def succeeded(client: Client, job: Job, output: Path | None) -> Job:
    """The job with its images; Ctrl-C cancels it. Raises JobDidNotSucceed."""
    try:
        job = followed(client, job, output)
    except KeyboardInterrupt:
        job = client.cancel(job.id)
        typer.echo(f"Job {job.id} is {job.status}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if job.status is not JobStatus.SUCCEEDED:
        raise JobDidNotSucceed(job)
    return job


def estimate_lines(estimate: Estimate) -> list[str]:
    """What an estimate says, in sentences."""
    seconds, wait_s = estimate.cost.worker_seconds, estimate.estimated_wait_s
    cost = f"Cost: {estimate.cost.step_megapixels:g} step-megapixels"
    return [
        f"{cost}." if seconds is None else f"{cost}, {seconds:.1f} s of one worker.",
        "Estimated wait: unknown, no worker of the model is live."
        if wait_s is None
        else f"Estimated wait: {wait_s:.1f} s.",
    ]


def _format_of(output: Path | None) -> OutputFormat | None:
    if output is None:
        return None
    if output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(
            f"--output {output} must end in {', '.join(FORMATS)}, or --format must be given."
        )
    return FORMATS[output.suffix.lower()]
