"""`latentry generate`."""

from pathlib import Path
from typing import Annotated, Final, Unpack

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.options import RequestOptions, request_fields, request_options
from latentry.cli.results import AsJson, refuse_unwritable, save_all, succeeded
from latentry.contracts import Estimate, OutputFormat

FORMATS: Final = {
    ".png": OutputFormat.PNG,
    ".jpg": OutputFormat.JPEG,
    ".jpeg": OutputFormat.JPEG,
    ".webp": OutputFormat.WEBP,
}


@request_options
def generate(
    prompt: Annotated[
        str | None,
        typer.Argument(help="What the image should show; not needed with --image."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Output file or folder; JOB-ID.png if omitted."),
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Unpack[RequestOptions],
) -> None:
    """Generate images and save them."""
    fields = request_fields(options)
    if file_format := options["output_format"] or format_of(output):
        fields["output_format"] = file_format
    refuse_unwritable(output)
    with connect(url, api_key) as client:
        if options["dry_run"]:
            tell_estimate(client.estimate(prompt, **fields), as_json=as_json)
            return
        job = succeeded(client, client.submit(prompt, **fields), output)
        save_all(client, job, output, as_json=as_json)


def tell_estimate(estimate: Estimate, *, as_json: bool) -> None:
    """Print what an estimate says, in sentences or as JSON."""
    text = "\n".join(_sentences(estimate))
    typer.echo(estimate.model_dump_json(indent=2) if as_json else text)


def _sentences(estimate: Estimate) -> list[str]:
    seconds, wait_s = estimate.cost.worker_seconds, estimate.estimated_wait_s
    cost = f"Cost: {estimate.cost.step_megapixels:g} step-megapixels"
    return [
        f"{cost}." if seconds is None else f"{cost}, {seconds:.1f} s of one worker.",
        "Estimated wait: unknown, no worker of the model is live."
        if wait_s is None
        else f"Estimated wait: {wait_s:.1f} s.",
    ]


def format_of(output: Path | None) -> OutputFormat | None:
    """The format that a file's name stands for. Raises typer.BadParameter."""
    if output is None or output.is_dir():
        return None
    if output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(
            f"--output {output} must end in {', '.join(FORMATS)}, or --format must be given."
        )
    return FORMATS[output.suffix.lower()]
