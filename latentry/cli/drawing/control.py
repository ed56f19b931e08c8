"""`latentry control`."""

from typing import Annotated, Any, cast

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.estimates import tell_estimate
from latentry.cli.drawing.formats import format_of
from latentry.cli.drawing.results import AsJson, Output, Show, finish, refuse_unwritable
from latentry.cli.fields import values
from latentry.cli.fields.options import among, common_fields, control_options
from latentry.client.pictures.fields import ControlFields


@control_options
def control(
    image: Annotated[
        str,
        typer.Argument(
            metavar="PICTURE", help="Picture to preprocess: a path, a URL or a file id."
        ),
    ],
    *,
    output: Output = None,
    show: Show = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Save what a ControlNet would be shown of a picture: its edges, its lines inverted."""
    picture = values.picture("PICTURE", image)
    given = common_fields(options)
    given["output_format"] = options["output_format"] or format_of(output)
    fields = cast(ControlFields, among(ControlFields, given))
    refuse_unwritable(output)
    with connect(url, api_key) as client:
        if options["dry_run"]:
            tell_estimate(client.estimate_control(picture, **fields), as_json=as_json)
            return
        job = client.submit_control(picture, **fields)
        finish(client, job, output, as_json=as_json, show=show)
