"""Who uses a data folder: at most one `latentry serve`, after the processes of the last one."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TextIO

from latentry.errors import ConfigurationError

# More than a tether takes to end its command after its supervisor was killed.
PREDECESSORS_S: Final = 10.0
POLL_S: Final = 0.1


@asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[int]:
    """Lock the folder. Gives a descriptor for all children to inherit, which locks until they end.

    Waits for the children of an earlier run that was killed. Raises ConfigurationError.
    """
    with _open(folder, "serve.lock") as ours, _open(folder, "children.lock") as theirs:
        if not _lock(ours):
            raise ConfigurationError(
                f"Another `latentry serve` uses {folder}; stop it, or set "
                "LATENTRY_DATA_DIR to another folder."
            )
        deadline = asyncio.get_running_loop().time() + PREDECESSORS_S
        while not _lock(theirs):
            if asyncio.get_running_loop().time() > deadline:
                raise ConfigurationError(
                    f"Processes of an earlier `latentry serve` still use {folder}; stop them."
                )
            await asyncio.sleep(POLL_S)
        yield theirs.fileno()


def _open(folder: Path, name: str) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / name).open("w")
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written to ({error.strerror}); set LATENTRY_DATA_DIR to another "
            "folder."
        ) from error


def _lock(file: TextIO) -> bool:
    """Lock a file; False if another process has. Raises ConfigurationError if it has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ConfigurationError(
            f"{file.name} cannot be locked ({error.strerror}), as on some network drives; set "
            "LATENTRY_DATA_DIR to another folder."
        ) from error
    return True
