"""`latentry demo`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from latentry.cli.drawing.formats import FORMATS
from latentry.cli.drawing.results import refuse_unwritable
from latentry.cli.exits import Exit
from latentry.cli.serve import say
from latentry.serve import demo as demo_sheet
from latentry.serve import signals
from latentry.serve.ready import ready
from latentry.serve.stack import running
from latentry.settings import Settings


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


async def _demo(settings: Settings, output: Path) -> None:
    async with running(settings, os.environ, output=sys.stderr, say=say) as stack:
        await ready(stack)
        pictures = await demo_sheet.generate(stack)
        demo_sheet.save(pictures, output)
        for picture in pictures:
            typer.echo(f"seed {picture.image.seed}  {picture.prompt}")
        typer.echo(f"The sheet was saved to {output}.")
