"""Folders of wildcards: a text file is a wildcard, each line one of its values."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS
from latentry.errors import ConfigurationError
from latentry.settings import Settings
from service.templates.files import below, read_text

SUFFIXES: Final = (".txt",)
_COMMENT: Final = "#"


def find_wildcards(settings: Settings) -> list[Path]:
    """The files below LATENTRY_WILDCARDS. Raises ConfigurationError."""
    if not settings.wildcards:
        return []
    folder = Path(settings.wildcards)
    return below(folder, SUFFIXES) if folder.is_dir() else [folder]


def read_wildcards(settings: Settings, files: Iterable[Path]) -> dict[str, tuple[str, ...]]:
    """Values by the file's path below the folder, without suffix. Raises ConfigurationError."""
    folder = Path(settings.wildcards)
    found = {}
    for file in files:
        if file == folder:
            raise ConfigurationError(f"LATENTRY_WILDCARDS: {folder} is not a folder.")
        values = _values(file)
        if values:
            found[file.relative_to(folder).with_suffix("").as_posix()] = values
    return found


def _values(file: Path) -> tuple[str, ...]:
    lines = (line.strip() for line in read_text(file).splitlines())
    values = tuple(line for line in lines if line and not line.startswith(_COMMENT))
    if any(len(value) > MAX_PROMPT_CHARS for value in values):
        raise ConfigurationError(f"{file} has a line of more than {MAX_PROMPT_CHARS} characters.")
    return values
