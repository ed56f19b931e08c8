"""`latentry serve` and `latentry demo`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from latentry.cli.drawing.formats import FORMATS
from latentry.cli.drawing.results import refuse_unwritable
from latentry.cli.exits import Exit
from latentry.serve import demo as demo_sheet
from latentry.serve import signals
from latentry.serve.ready import instructions, ready, requires_key
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


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", dir_okay=False, help="Output file.")
    ] = Path("demo.png"),
) -> None:
    """Start the service on free ports, generate a sheet of six images, and stop."""
    if output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"--output {output} must end in {', '.join(FORMATS)}.")
    refuse_unwritable(output)
    env = demo_sheet.demo_env(os.environ)
    finished = signals.run(_demo(Settings.from_env(env), output))
    if not finished:
        raise typer.Exit(Exit.INTERRUPTED)


async def _serve(settings: Settings) -> None:
    async with running(settings, os.environ, output=sys.stdout, say=_say) as stack:
        await ready(stack)
        for line in instructions(stack, with_key=await requires_key(stack)):
            write_line(line)
        await asyncio.Event().wait()


async def _demo(settings: Settings, output: Path) -> None:
    async with running(settings, os.environ, output=sys.stderr, say=_say) as stack:
        await ready(stack)
        pictures = await demo_sheet.generate(stack)
        demo_sheet.save(pictures, output)
        for picture in pictures:
            typer.echo(f"seed {picture.image.seed}  {picture.prompt}")
        typer.echo(f"The sheet was saved to {output}.")


def _say(sentence: str) -> None:
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
