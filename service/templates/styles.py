"""Files of styles: Fooocus's JSON, and AUTOMATIC1111's styles.csv."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from latentry.contracts import Style
from latentry.errors import ConfigurationError
from latentry.settings import Settings
from service.templates.files import below, read_text

SUFFIXES: Final = (".json", ".csv")
# Beside a model's own files: its makers' styles.
_OF_A_MODEL: Final = "styles.json"
_CSV_FIELDS: Final = ("name", "prompt", "negative_prompt")


def find_styles(settings: Settings) -> list[Path]:
    """The files that LATENTRY_STYLES names; else those that local models bring along."""
    if settings.styles:
        return below(Path(settings.styles), SUFFIXES)
    sources = settings.model_sources.values()
    places = [source / _OF_A_MODEL for source in sources if isinstance(source, Path)]
    return [place for place in places if place.is_file()]


def read_styles(files: Iterable[Path]) -> dict[str, Style]:
    """All styles by name, in order. Raises ConfigurationError."""
    found: dict[str, Style] = {}
    for file in files:
        for style in _read(file):
            if style.name in found:
                raise ConfigurationError(f"{file}: there are two styles “{style.name}”.")
            found[style.name] = style
    return found


def _read(file: Path) -> list[Style]:
    text = read_text(file)
    entries = _csv(file, text) if file.suffix == ".csv" else _json(file, text)
    return [_style(file, number, entry) for number, entry in enumerate(entries, 1)]


def _json(file: Path, text: str) -> list[Any]:
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{file} is not JSON, in line {error.lineno}.") from None
    except RecursionError:
        raise ConfigurationError(f"{file} is nested too deeply.") from None
    if not isinstance(entries, list):
        raise ConfigurationError(f"{file} must hold a list of styles.")
    return entries


def _csv(file: Path, text: str) -> list[Any]:
    """The rows; those without prompts are dividers, as AUTOMATIC1111's users write them."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if not set(_CSV_FIELDS) <= set(reader.fieldnames or ()):
            raise ConfigurationError(f"{file} must begin with the line {','.join(_CSV_FIELDS)}.")
        rows = [{name: row[name] or "" for name in _CSV_FIELDS} for row in reader]
    except csv.Error:
        raise ConfigurationError(f"{file} is not CSV, near line {reader.line_num}.") from None
    return [row for row in rows if row["prompt"] or row["negative_prompt"]]


def _style(file: Path, number: int, entry: Any) -> Style:
    try:
        return Style.model_validate(entry, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise ConfigurationError(f"{file}, style {number}: {what}.") from None
