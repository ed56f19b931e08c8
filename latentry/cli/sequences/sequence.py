"""What a command that makes frames stores, by the name of its file."""

from pathlib import Path
from typing import Final

import typer

from latentry.cli.drawing.formats import FORMATS
from latentry.contracts import ClipFormat, OutputFormat, SequenceOutput
from latentry.contracts.fields.bounds import MAX_FRAMES

# Animated WebP is one file of all frames: a name alone never means WebP frames.
_MADE: Final = dict.fromkeys(FORMATS, SequenceOutput.FRAMES) | {
    form.suffix: SequenceOutput(form) for form in ClipFormat
}


def stored(
    output: Path | None, given: OutputFormat | None = None
) -> tuple[SequenceOutput, OutputFormat | None]:
    """One file of all frames or the frames themselves, and the frames' format; None: by default.

    A folder, or no name, stands for one file. `given`: the format that is asked for. Raises
    typer.BadParameter.
    """
    if output is None or output.is_dir():
        return SequenceOutput.WEBP, given
    suffix = output.suffix.lower()
    if suffix not in _MADE and given is None:
        raise typer.BadParameter(f"--output {output} must end in {', '.join(_MADE)}.")
    made = _MADE.get(suffix, SequenceOutput.FRAMES)
    return made, given or (FORMATS[suffix] if made is SequenceOutput.FRAMES else None)


def files_of(made: SequenceOutput, frames: int | None) -> int:
    """How many files are saved; of frames whose number the model says, as many as there may be."""
    return 1 if made.clip is not None else min(frames or MAX_FRAMES, MAX_FRAMES)
