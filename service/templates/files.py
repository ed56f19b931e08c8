"""Text files of the operator's, as a gateway may read them."""

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from latentry.errors import ConfigurationError

MAX_BYTES: Final = 10 * 1024**2


def below(place: Path, suffixes: Iterable[str]) -> list[Path]:
    """The file itself, or those of a folder with these suffixes, in order."""
    if not place.is_dir():
        return [place]
    return sorted(p for p in place.rglob("*") if p.suffix in suffixes and p.is_file())


def read_text(path: Path) -> str:
    """A file's text. Raises ConfigurationError."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # whoever opened a pipe would wait for its other end
            raise ConfigurationError(f"{path} is no file.")
        if found.st_size > MAX_BYTES:
            raise ConfigurationError(f"{path} is larger than {MAX_BYTES} bytes.")
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist.") from None
    except OSError:
        raise ConfigurationError(f"{path} cannot be read; are its permissions right?") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8.") from None
    if "\0" in text:
        raise ConfigurationError(f"{path} is not a text.")
    return text
