"""`latentry caption`."""

from typing import Annotated, Any, cast

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.estimates import tell_estimate
from latentry.cli.drawing.results import finish
from latentry.cli.fields import values
from latentry.cli.fields.options import among, caption_options, common_fields
from latentry.client.pictures.fields import CaptionFields

AsJson = Annotated[bool, typer.Option("--json", help="Print the whole job as JSON.")]


@caption_options
def caption(
    image: Annotated[
        str,
        typer.Argument(metavar="PICTURE", help="Picture to look at: a path, a URL or a file id."),
    ],
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Say what a picture shows."""
    picture = values.picture("PICTURE", image)
    fields = cast(CaptionFields, among(CaptionFields, common_fields(options)))
    with connect(url, api_key) as client:
        if options["dry_run"]:
            tell_estimate(client.estimate_caption(picture, **fields), as_json=as_json)
            return
        finish(client, client.submit_caption(picture, **fields), None, as_json=as_json)
