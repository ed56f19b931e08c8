"""The commands, under the headings that `latentry --help` has."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]

from latentry import __version__
from latentry.cli import admin, catalogue, demo, files, jobs, serve
from latentry.cli.bench import command as bench
from latentry.cli.completion import completion
from latentry.cli.doctor import command as doctor
from latentry.cli.drawing import caption, control, fetch, generate, upscale
from latentry.cli.fields.options import option_name
from latentry.cli.provenance import verify
from latentry.cli.sequences import clip, interpolate
from latentry.cli.terminal import help as pages

_DRAW: Final = "Draw"
_JOBS: Final = "Jobs and files"
_SERVICE: Final = "What the service has"
_OPERATE: Final = "Run and look after a service"
_LONG_NAMES: Final = {"token_normalize_func": option_name}

app = pages.app(
    help="Generate images with a latentry service.",
    epilog="Exit codes: 0 done, 1 failed, 2 misused, 3 try again later, 130 interrupted.",
)
completion_init()


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Generate images with a latentry service."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _add(name: str, command: Callable[..., Any], panel: str, **settings: Any) -> None:
    app.command(name, cls=pages.Command, rich_help_panel=panel, context_settings=settings or None)(
        command
    )


_add("generate", generate.generate, _DRAW, **_LONG_NAMES)
_add("edit", generate.edit, _DRAW, **_LONG_NAMES)
_add("upscale", upscale.upscale, _DRAW, **_LONG_NAMES)
_add("control", control.control, _DRAW, **_LONG_NAMES)
_add("caption", caption.caption, _DRAW, **_LONG_NAMES)
_add("interpolate", interpolate.interpolate, _DRAW, **_LONG_NAMES)
_add("clip", clip.clip, _DRAW, **_LONG_NAMES)
_add("verify", verify.verify, _DRAW)
_add("list", jobs.list_jobs, _JOBS)
_add("status", jobs.status, _JOBS)
_add("watch", jobs.watch, _JOBS)
_add("fetch", fetch.fetch, _JOBS)
_add("cancel", jobs.cancel, _JOBS)
app.add_typer(files.app, name="files", rich_help_panel=_JOBS)
_add("usage", jobs.usage, _JOBS)
_add("models", catalogue.models, _SERVICE)
_add("adapters", catalogue.adapters, _SERVICE)
_add("upscalers", catalogue.upscalers, _SERVICE)
_add("styles", catalogue.styles, _SERVICE)
_add("serve", serve.serve, _OPERATE)
_add("demo", demo.demo, _OPERATE)
_add("doctor", doctor.doctor, _OPERATE)
_add("bench", bench.bench, _OPERATE, **_LONG_NAMES)
_add("keys", admin.keys, _OPERATE, **admin.SETTINGS)
_add("webhooks", admin.webhooks, _OPERATE, **admin.SETTINGS)
_add("completion", completion, _OPERATE)
