"""`latentry upscale`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from latentry.cli import values
from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.generate import estimate_lines, format_of
from latentry.cli.results import AsJson, refuse_unwritable, save_all, succeeded
from latentry.contracts import OutputFormat, Priority, UpscaleRequest

_HELP = {name: field.description for name, field in UpscaleRequest.model_fields.items()}


def upscale(
    image: Annotated[
        str, typer.Argument(help="The picture to enlarge: a path, a URL or a file id.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Output file; JOB-ID.png if omitted.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help=_HELP["scale"])] = None,
    upscaler: Annotated[
        str | None, typer.Option(help="Id of `latentry upscalers`; lanczos if omitted.")
    ] = None,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option("--format", help="File format; by the extension of --output if omitted."),
    ] = None,
    output_quality: Annotated[
        int | None, typer.Option("--quality", help=_HELP["output_quality"])
    ] = None,
    output_lossless: Annotated[
        bool, typer.Option("--lossless", help=_HELP["output_lossless"])
    ] = False,
    priority: Annotated[Priority | None, typer.Option(help=_HELP["priority"])] = None,
    start_within: Annotated[int | None, typer.Option(help=_HELP["start_within"])] = None,
    finish_within: Annotated[int | None, typer.Option(help=_HELP["finish_within"])] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cost and the estimated start; create no job."),
    ] = False,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Your own label, kept with the job; repeatable."),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where to send a notification when the job ends."),
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Enlarge a picture and save it."""
    picture = values.picture("image", image)
    assert picture is not None, "an argument is given"
    given: dict[str, Any] = {
        "scale": scale,
        "upscaler": upscaler,
        "output_format": output_format or format_of(output),
        "output_quality": output_quality,
        "output_lossless": output_lossless or None,
        "priority": priority,
        "start_within": start_within,
        "finish_within": finish_within,
        "metadata": values.labels("--metadata", metadata),
        "webhook": values.webhook(webhook, None),
    }
    refuse_unwritable(output)
    with connect(url, api_key) as client:
        if dry_run:
            estimate = client.estimate_upscale(picture, **given)
            text = "\n".join(estimate_lines(estimate))
            typer.echo(estimate.model_dump_json(indent=2) if as_json else text)
            return
        job = succeeded(client, client.submit_upscale(picture, **given), output)
        save_all(client, job, output, as_json=as_json)
