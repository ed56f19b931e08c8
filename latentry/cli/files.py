"""`latentry files`: your uploaded pictures, which requests name by their ids."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich import filesize

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.results import refuse_unwritable
from latentry.cli.fields import values
from latentry.cli.tables import add, is_narrow, show, table
from latentry.cli.terminal import help as pages
from latentry.contracts import File

app = pages.app(help="Upload, list, download and delete pictures that requests start from.")

FileIds = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print each as JSON, one a line.")]


@app.command(cls=pages.Command)
def upload(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="PNG, JPEG or WebP.")],
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Upload pictures, and print the id of each and its path."""
    for path in paths:
        values.picture("PATH", str(path))
    with connect(url, api_key) as client:
        for path in paths:
            file = client.upload(path)
            typer.echo(file.model_dump_json() if as_json else f"{file.id}  {path}")


@app.command("list", cls=pages.Command)
def list_files(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Most files to list.")] = 20,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List your files, those that expire last first."""
    with connect(url, api_key) as client:
        found = list(islice(client.files(), limit))
    if as_json:
        for file in found:
            typer.echo(file.model_dump_json())
        return
    heads = ("size", "bytes", "expires in", "C2PA", "uploaded")
    kept = 3 if is_narrow() else len(heads)
    rows = table("file", *heads[:kept])
    for file in found:
        add(rows, file.id, *_cells(file, datetime.now(UTC))[:kept])
    show(rows)


@app.command(cls=pages.Command)
def get(
    file_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the file.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Output file or folder; ID.png if omitted."),
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Save a file as it is stored: a PNG."""
    refuse_unwritable(output)
    own = Path(f"{file_id}.png")
    path = own if output is None else output / own if output.is_dir() else output
    with connect(url, api_key) as client:
        data = client.download(f"/v1/files/{quote(file_id, safe='')}/content")
    path.write_bytes(data)
    typer.echo(str(path))


@app.command(cls=pages.Command)
def delete(file_ids: FileIds, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """Delete files. Jobs that use one keep it until they end."""
    with connect(url, api_key) as client:
        for file_id in file_ids:
            client.delete_file(file_id)
            typer.echo(f"File {file_id} is deleted.")


def _cells(file: File, now: datetime) -> tuple[str, ...]:
    size = f"{file.width}×{file.height}"
    uploaded = file.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    left = max(timedelta(), file.expires_at - now)
    hours, minutes = divmod(int(left.total_seconds()) // 60, 60)
    stored = filesize.decimal(file.bytes)
    return size, stored, f"{hours} h {minutes:02} min", file.c2pa.value, uploaded
