"""`latentry verify`."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.exits import Exit
from latentry.cli.fields import values
from latentry.contracts import C2paState, Manifest, Verification

_STATES: Final = {
    C2paState.TRUSTED: "C2PA: valid, and its signer is trusted.",
    C2paState.VALID: "C2PA: valid; nobody vouches for its signer.",
    C2paState.INVALID: "C2PA: invalid; the file is not as it was signed.",
    C2paState.NONE: "C2PA: none.",
}


def verify(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A picture or clip: a path, a URL or a file id.")
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all that was found as JSON.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Tell what a picture says of its origin, and whether that holds. Exit code 1 if not."""
    picture = values.picture("FILE", file)
    with connect(url, api_key) as client:
        found = client.verify(picture)
    typer.echo(found.model_dump_json(indent=2) if as_json else "\n".join(_lines(found)))
    if found.c2pa.state is C2paState.INVALID:
        raise typer.Exit(Exit.FAILED)


def _lines(found: Verification) -> Iterator[str]:
    yield _STATES[found.c2pa.state]
    if found.c2pa.codes:
        yield f"  {', '.join(found.c2pa.codes)}"
    for manifest in found.c2pa.history:
        yield from _manifest(manifest)
    if found.made_here.verified:
        job = f", by job {found.made_here.job}" if found.made_here.job else ""
        yield f"Made by this service{job}."
    if found.xmp is not None:
        kind = found.xmp.digital_source_type.rpartition("/")[2]
        yield f"XMP, which nothing protects: {kind or 'no source type'}, {found.xmp.creator_tool}"
    if found.infotext is not None:
        yield f"Parameters, which nothing protects:\n{found.infotext}"


def _manifest(one: Manifest) -> Iterator[str]:
    signer = f"{one.common_name} ({one.issuer})" if one.issuer else one.common_name
    yield f"  {one.generator}, signed by {signer}"
    for action in one.actions:
        kind = action.digital_source_type.rpartition("/")[2]
        yield "    " + " ".join(filter(None, (action.action, kind, action.software, action.when)))
    for part in one.ingredients:
        yield f"    from {part.title} ({part.relationship}), C2PA: {part.state}"
