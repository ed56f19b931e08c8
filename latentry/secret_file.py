"""A secret of a deployment: created once, kept in a file, the same for all its processes."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def kept_secret(path: Path) -> bytes:
    """The secret in the file, which is created, readable by its owner only, if it is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with open(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # another process was first: all use its secret
            os.link(draft, path)
        draft.unlink()
    return path.read_bytes().strip()
