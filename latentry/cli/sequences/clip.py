"""`latentry clip`."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.estimates import tell_estimate
from latentry.cli.drawing.results import FILES, AsJson, finish, refuse_unwritable
from latentry.cli.fields.options import clip_options, request_fields
from latentry.cli.sequences.sequence import files_of, stored
from latentry.client.sequences.clips import ClipFields


@clip_options
def clip(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What the clip should show, and how it moves.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Output file: .mp4, .webp or .gif for the clip, .png or .jpg for its frames, as"
            " OUTPUT-1.png and so on; JOB-ID.webp if omitted or a folder.",
            rich_help_panel=FILES,
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Generate a short clip and save it."""
    fields = cast(ClipFields, dict(request_fields(options)))
    fields |= {name: options[name] for name in ("frames", "fps") if options[name] is not None}  # type: ignore[typeddict-item]
    made, file_format = stored(output)
    fields["output"] = made
    if file_format is not None:
        fields["output_format"] = file_format
    refuse_unwritable(output, [files_of(made, options["frames"])])
    with connect(url, api_key) as client:
        if options["dry_run"]:
            tell_estimate(client.estimate_clip(prompt, **fields), as_json=as_json)
            return
        job = client.submit_clip(prompt, **fields)
        # The file is what was asked for; `latentry fetch` saves frames too.
        finish(client, job, output, as_json=as_json, clip_alone=made.clip is not None)
