"""`latentry serve`. Its worker is waited for, so nothing is imported before that but its own."""

import asyncio
import os
import sys

import typer

from latentry.cli.exits import Exit
from latentry.cli.terminal import help as pages
from latentry.serve import signals
from latentry.serve.stack import StartRefused, running
from latentry.settings import Settings


def serve() -> None:
    """Run the whole service on this machine until Ctrl-C: Valkey, worker and gateway.

    All settings are LATENTRY_* environment variables.
    """
    try:
        signals.run(_serve(Settings.from_env(os.environ)))
    except StartRefused as refused:
        write_line(f"latentry: {refused}", err=True)
        raise typer.Exit(Exit.MISUSED) from refused


def alone() -> typer.Typer:
    """A command line that has no other command."""
    app = pages.app()
    app.callback()(lambda: None)  # or it would be no group, and take no command's name
    app.command("serve")(serve)
    return app


async def _serve(settings: Settings) -> None:
    async with running(settings, os.environ, output=sys.stdout, say=say) as stack:
        # Imported here: the worker is on its way by now, and the SDK takes a while.
        from latentry.serve.ready import instructions, ready, requires_key

        await ready(stack)
        for line in instructions(stack, with_key=await requires_key(stack)):
            write_line(line)
        await asyncio.Event().wait()


def say(sentence: str) -> None:
    """Print a sentence of the stack itself beside its processes' lines."""
    write_line(f"{'latentry':<8}| {sentence}", err=True)


def write_line(line: str, *, err: bool = False) -> None:
    """Print a line; without effect once the output has no reader any more."""
    try:
        typer.echo(line, err=err)
    except OSError:
        # The reader is gone; the service continues. Python flushes the buffer again at exit, which
        # must not become an error (Python's note on SIGPIPE).
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), (sys.stderr if err else sys.stdout).fileno())
