"""A JSON object in a file, with or without the byte order mark that Windows' editors write."""

import json
from pathlib import Path
from typing import Any

from latentry.errors import ConfigurationError


def read_json(file: Path) -> dict[str, Any]:
    """A file's JSON object. Raises ConfigurationError."""
    try:
        found = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} is not a JSON object.")
    return found
