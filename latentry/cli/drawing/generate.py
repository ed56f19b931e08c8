"""`latentry generate` and `latentry edit`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing import many
from latentry.cli.drawing.asked import Asked, requests_of
from latentry.cli.drawing.estimates import tell_estimate
from latentry.cli.drawing.formats import format_of
from latentry.cli.drawing.results import AsJson, Output, Show, finish, refuse_unwritable
from latentry.cli.fields import values
from latentry.cli.fields.options import request_fields, request_options
from latentry.client import Client
from latentry.client.fields import Fields
from latentry.client.many_jobs.asked import CONCURRENCY

_PROMPT: Final = "Prompt"

Prompts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROMPT",
        help="What the image should show; several are as many jobs. Not needed with --image.",
    ),
]
PromptsFile = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        metavar="FILE",
        help="File of more prompts, one a line, or of requests as JSON objects, one a line; the"
        " options hold for those that say nothing else. `-` is standard input.",
        rich_help_panel=_PROMPT,
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Jobs that are under way at once, of several prompts.",
        rich_help_panel=_PROMPT,
    ),
]


@request_options
def generate(
    prompts: Prompts = None,
    prompts_file: PromptsFile = None,
    concurrency: Concurrency = CONCURRENCY,
    *,
    output: Output = None,
    show: Show = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Generate images and save them.

    Several prompts are drawn together and saved as OUTPUT-1.png and so on. With --json each is one
    line. One that fails does not end the others.
    """
    fields = _fields(options, output)
    asked = requests_of(prompts or [], prompts_file, fields)
    refuse_unwritable(output, [one.pictures for one in asked])
    with connect(url, api_key) as client:
        if options["dry_run"]:
            _estimate(client, asked, as_json=as_json)
        elif len(asked) == 1:
            finish(client, asked[0].submit(client), output, as_json=as_json, show=show)
        else:
            many.draw(client, asked, output, concurrency, as_json=as_json, show=show)


@partial(request_options, without=frozenset({"image"}))
def edit(
    image: Annotated[
        str,
        typer.Argument(metavar="PICTURE", help="Picture to change: a path, a URL or a file id."),
    ],
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT", help="What it should become; of a model that edits, what to do to it."
        ),
    ] = None,
    *,
    output: Output = None,
    show: Show = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Draw a picture anew from another one, all of it, or what --mask or --extend says.

    --strength says how much may change: 0.8 if omitted, and with a mask 1.
    """
    fields = _fields(options, output)
    fields["image"] = values.picture("PICTURE", image)
    asked = requests_of([prompt] if prompt is not None else [], None, fields)
    refuse_unwritable(output, [one.pictures for one in asked])
    with connect(url, api_key) as client:
        if options["dry_run"]:
            _estimate(client, asked, as_json=as_json)
        else:
            finish(client, asked[0].submit(client), output, as_json=as_json, show=show)


def _fields(options: dict[str, Any], output: Path | None) -> Fields:
    fields = request_fields(options)
    if file_format := options["output_format"] or format_of(output):
        fields["output_format"] = file_format
    return fields


def _estimate(client: Client, asked: list[Asked], *, as_json: bool) -> None:
    for one in asked:
        if len(asked) > 1:
            typer.echo(f"{one.name}:", err=as_json)
        tell_estimate(one.estimate(client), as_json=as_json)
