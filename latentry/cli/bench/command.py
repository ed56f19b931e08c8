"""`latentry bench`."""

import json
import math
import time
from functools import partial
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from latentry.cli.bench.load import Load
from latentry.cli.bench.report import Report
from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.asked import requests_of
from latentry.cli.exits import Exit
from latentry.cli.fields.options import request_fields, request_options
from latentry.client import Client, Retries

_PANEL: Final = "Load"
_LOOK_S: Final = 0.2
_WITHOUT: Final = frozenset(
    {"preview_interval", "preview_size", "intermediates_every", "intermediates_kind"}
    | {"webhook", "webhook_event", "dry_run"}
)


def _finite(given: float | None) -> float | None:
    """A number; NaN passes any `min`. Raises typer.BadParameter."""
    if given is not None and not math.isfinite(given):
        raise typer.BadParameter(f"{given} is no finite number.")
    return given


Prompts = Annotated[
    list[str], typer.Argument(metavar="PROMPT", help="What to draw; several are drawn in turn.")
]
Callers = Annotated[
    int,
    typer.Option(
        "-c",
        "--callers",
        min=1,
        max=512,
        help="Callers with a client each, who submit the next job when the last has ended; with"
        " --rate the most there may be.",
        rich_help_panel=_PANEL,
    ),
]
Duration = Annotated[
    float,
    typer.Option(
        "--duration",
        min=0.1,
        metavar="SECONDS",
        callback=_finite,
        help="How long new jobs come.",
        rich_help_panel=_PANEL,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        metavar="PER-SECOND",
        callback=_finite,
        help="Jobs a second that come by themselves, at random times (an open loop).",
        rich_help_panel=_PANEL,
    ),
]


@partial(request_options, without=_WITHOUT)
def bench(
    prompts: Prompts,
    callers: Callers = 16,
    duration_s: Duration = 30.0,
    rate: Rate = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Put load on a running service and report rates, waits and errors.

    Jobs are submitted for --duration seconds, and those under way then are waited for. Nothing is
    tried again and no image is downloaded. Exit code 1 if no job succeeded.
    """
    asked = requests_of(prompts, None, request_fields(options))
    with connect(url, api_key) as client:
        client.models()  # whoever has the wrong key or URL is told now
    once = Retries(attempts=1, outage_s=0.0)
    load = Load(lambda: Client(url, api_key=api_key, retries=once), asked)
    if rate is None:
        load.closed(callers)
    else:
        load.arriving(rate, callers)
    seconds, is_whole = _watched(load, duration_s)
    name = f"closed loop of {callers} callers" if rate is None else f"{rate:g} jobs/s arriving"
    report = Report.of(name, load.outcomes, seconds)
    typer.echo(json.dumps(report.as_dict(), indent=2) if as_json else "\n".join(report.lines()))
    if not is_whole:
        raise typer.Exit(Exit.INTERRUPTED)
    if not report.succeeded:
        raise typer.Exit(Exit.FAILED)


def _watched(load: Load, duration_s: float) -> tuple[float, bool]:
    """The seconds in which jobs came, and whether the user let it come to its end."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("", total=duration_s)
        try:
            while (now := load.elapsed_s) < duration_s:
                progress.update(bar, description=_said(load), completed=now)
                time.sleep(min(_LOOK_S, duration_s - now))
            load.stop()
            while not load.join(_LOOK_S):
                progress.update(bar, description=f"{_said(load)}, the last are under way")
        except KeyboardInterrupt:
            load.stop()
            load.cancel()
            return min(load.elapsed_s, duration_s), False
    return duration_s, True


def _said(load: Load) -> str:
    return f"{len(load.outcomes)} jobs ended"
