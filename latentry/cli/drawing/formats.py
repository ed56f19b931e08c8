"""What the name of an output file says."""

from pathlib import Path
from typing import Final

import typer

from latentry.contracts import OutputFormat

FORMATS: Final = {
    ".png": OutputFormat.PNG,
    ".jpg": OutputFormat.JPEG,
    ".jpeg": OutputFormat.JPEG,
    ".webp": OutputFormat.WEBP,
}


def format_of(output: Path | None) -> OutputFormat | None:
    """The format that a file's name stands for. Raises typer.BadParameter."""
    if output is None or output.is_dir():
        return None
    if output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(
            f"--output {output} must end in {', '.join(FORMATS)}, or --format must be given."
        )
    return FORMATS[output.suffix.lower()]


def numbered(output: Path | None, number: int, total: int) -> Path | None:
    """The file of one of several requests, from 0; a folder has them by their jobs' ids."""
    if output is None or total == 1 or output.is_dir():
        return output
    return output.with_stem(f"{output.stem}-{number + 1:0{len(str(total))}}")
