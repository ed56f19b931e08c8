"""`latentry upscale`."""

from typing import Annotated, Any, cast

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.estimates import tell_estimate
from latentry.cli.drawing.formats import format_of
from latentry.cli.drawing.results import AsJson, Output, Show, finish, refuse_unwritable
from latentry.cli.fields import values
from latentry.cli.fields.options import among, common_fields, upscale_options
from latentry.client.pictures.fields import UpscaleFields


@upscale_options
def upscale(
    image: Annotated[
        str,
        typer.Argument(metavar="PICTURE", help="Picture to enlarge: a path, a URL or a file id."),
    ],
    *,
    output: Output = None,
    show: Show = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Enlarge a picture and save it."""
    picture = values.picture("PICTURE", image)
    given = common_fields(options)
    given["output_format"] = options["output_format"] or format_of(output)
    fields = cast(UpscaleFields, among(UpscaleFields, given))
    refuse_unwritable(output)
    with connect(url, api_key) as client:
        if options["dry_run"]:
            tell_estimate(client.estimate_upscale(picture, **fields), as_json=as_json)
            return
        job = client.submit_upscale(picture, **fields)
        finish(client, job, output, as_json=as_json, show=show)
