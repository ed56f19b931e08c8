"""Paths as people write them."""

import os.path
from pathlib import Path


def local_path(text: str) -> Path:
    """The path, with a leading `~` or `~user` as that home folder. Raises ValueError."""
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise ValueError(f"{text!r} begins with the home folder of an unknown user")
    path = Path(expanded)
    # `./~` is a folder of that name; Path drops the `./`, which other processes would miss.
    return path.absolute() if str(path).startswith("~") else path
