"""What files say, read again when they change; a change that cannot be read changes nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from latentry.errors import ConfigurationError

log = structlog.get_logger()

T = TypeVar("T")


class Watched(Generic[T]):
    """The last value that could be read. Raises ConfigurationError if the first one cannot.

    `find` names the files; `read` reads them all, and raises ConfigurationError with a sentence.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[], Iterable[Path]],
        read: Callable[[Iterable[Path]], T],
    ) -> None:
        self._name = name
        self._find = find
        self._read = read
        self._seen = self._look()
        self.is_stale = False  # the files changed since, and cannot be read
        self.value = read(self._seen)

    def refresh(self) -> None:
        """Look at the files, and read them if they changed. For a thread: disks may be slow."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.value = self._read(seen)
        except ConfigurationError as error:
            self.is_stale = True
            log.error("templates.unusable", what=self._name, why=error.message)
        else:
            self.is_stale = False
            log.info("templates.read", what=self._name, files=len(seen))

    def _look(self) -> dict[Path, tuple[int, int]]:
        """When each file was changed last, and its size."""
        return {path: _state(path) for path in self._find()}


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, -1  # whoever reads it says why
    return found.st_mtime_ns, found.st_size
