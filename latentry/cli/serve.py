"""`latentry serve` and `latentry demo`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from latentry.serve import demo as sheet
from latentry.serve import signals
from latentry.serve.ready import asks_for_keys, invitation, ready
from latentry.serve.stack import StartRefused, standing
from latentry.settings import Settings

REFUSED, INTERRUPTED = 2, 130


def serve() -> None:
    """Run the whole service on this machine until Ctrl-C: Valkey, worker and gateway.

    Settings come from LATENTRY_* variables, as for the single processes.
    """
    try:
        signals.run(_serve(Settings.from_env(os.environ)))
    except StartRefused as refused:
        _tell(f"latentry: {refused}", err=True)
        raise typer.Exit(REFUSED) from refused


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="The sheet.")] = Path("demo.png"),
) -> None:
    """Start the service on free ports, draw a sheet of six pictures, and stop."""
    env = sheet.beside(os.environ)
    finished = signals.run(_demo(Settings.from_env(env), output))
    if not finished:
        raise typer.Exit(INTERRUPTED)


async def _serve(settings: Settings) -> None:
    async with standing(settings, os.environ, output=sys.stdout, say=_say) as stack:
        await ready(stack)
        for line in invitation(stack, with_key=await asks_for_keys(stack)):
            _tell(line)
        await asyncio.Event().wait()


async def _demo(settings: Settings, output: Path) -> None:
    async with standing(settings, os.environ, output=sys.stderr, say=_say) as stack:
        await ready(stack)
        pictures = await sheet.draw(stack)
        sheet.save(pictures, output)
        for picture in pictures:
            typer.echo(f"{picture.image.url}  {picture.prompt}")
        typer.echo(f"The sheet is in {output}.")


def _say(sentence: str) -> None:
    _tell(f"{'latentry':<8}| {sentence}", err=True)


def _tell(line: str, *, err: bool = False) -> None:
    try:
        typer.echo(line, err=err)
    except OSError:
        # Nobody listens any more; the service goes on all the same. What is left in the buffer is
        # tried again at the end, and must not make a failure of it (Python's note on SIGPIPE).
        with open(os.devnull, "w") as nobody:
            os.dup2(nobody.fileno(), (sys.stderr if err else sys.stdout).fileno())
