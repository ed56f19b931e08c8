"""`latentry upscale`."""

from pathlib import Path
from typing import Annotated, TypedDict, Unpack, cast

import typer

from latentry.cli import values
from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.generate import format_of, tell_estimate
from latentry.cli.results import AsJson, refuse_unwritable, save_all, succeeded
from latentry.cli.signature import Command, hints_of, with_options
from latentry.client.fields import UpscaleFields
from latentry.contracts import OutputFormat, Priority, Provenance, UpscaleRequest


class UpscaleOptions(TypedDict):
    """The type of each option; help is the field's description, unless it has its own."""

    scale: float | None
    upscaler: Annotated[
        str | None, typer.Option(help="Id of `latentry upscalers`; lanczos if omitted.")
    ]
    output_format: Annotated[
        OutputFormat | None,
        typer.Option("--format", help="File format; by the extension of --output if omitted."),
    ]
    output_quality: Annotated[int | None, typer.Option("--quality")]
    output_lossless: Annotated[bool, typer.Option("--lossless")]
    provenance: Provenance | None
    priority: Priority | None
    start_within: int | None
    finish_within: int | None
    keep_for: int | None
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cost and the estimated start; create no job."),
    ]
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Your own label, kept with the job; repeatable."),
    ]
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where to send a notification when the job ends."),
    ]


def upscale_options(command: Command) -> Command:
    """Replace a command's `**options` by UpscaleOptions."""
    return with_options(command, hints_of(UpscaleOptions), UpscaleRequest)


@upscale_options
def upscale(
    image: Annotated[
        str, typer.Argument(help="The picture to enlarge: a path, a URL or a file id.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Output file; JOB-ID.png if omitted.")
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Unpack[UpscaleOptions],
) -> None:
    """Enlarge a picture and save it."""
    picture = values.picture("image", image)
    assert picture is not None, "an argument is given"
    fields = _fields(options, output)
    refuse_unwritable(output)
    with connect(url, api_key) as client:
        if options["dry_run"]:
            tell_estimate(client.estimate_upscale(picture, **fields), as_json=as_json)
            return
        job = succeeded(client, client.submit_upscale(picture, **fields), output)
        save_all(client, job, output, as_json=as_json)


def _fields(options: UpscaleOptions, output: Path | None) -> UpscaleFields:
    given = dict(options) | {
        "output_format": options["output_format"] or format_of(output),
        "output_lossless": options["output_lossless"] or None,
        "metadata": values.labels("--metadata", options["metadata"]),
        "webhook": values.webhook(options["webhook"], None),
    }
    names = UpscaleFields.__annotations__.keys()
    kept = {name: given[name] for name in names if given[name] is not None}
    return cast(UpscaleFields, kept)
