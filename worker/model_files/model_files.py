"""The models on this machine's disks, and what becomes of them from look to look."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import structlog

from latentry.errors import ConfigurationError
from worker.model_files.found import Found, find
from worker.model_files.settling import Changes, Settling

log = structlog.get_logger()


class ModelFiles:
    """Models by id at paths of their own (`pairs`), and whatever lies in `folders`.

    `taken`: ids of models that are not files: of a hub, or simulated.
    """

    def __init__(
        self,
        pairs: Mapping[str, Path],
        folders: Sequence[Path],
        clock: Callable[[], float] = time.time,
        *,
        taken: Collection[str] = (),
    ) -> None:
        self._pairs = pairs
        self._folders = folders
        self._clock = clock
        self._taken = taken
        self._settling = Settling()
        self._said: Collection[Path] = ()

    def open(self) -> dict[str, Path]:
        """The first look: the models of folders, by id, whose files are whole by now.

        Raises ConfigurationError for a folder that does not exist or cannot be read.
        """
        for folder in self._folders:
            if not folder.exists():
                raise ConfigurationError(f"LATENTRY_MODELS names {folder}, which does not exist.")
        try:
            found = self._find()
        except OSError as error:
            why = f"A folder that LATENTRY_MODELS names cannot be read: {error}."
            raise ConfigurationError(why) from error
        changes = self._settling.begin(found, self._clock(), certain=self._pairs)
        return {id: one.path for id, one in changes.there.items() if id not in self._pairs}

    def look(self) -> Changes:
        """What has become of them since. Raises OSError for a folder that cannot be read."""
        return self._settling.look(self._find())

    def _find(self) -> Mapping[str, Found]:
        found, nameless = find(self._pairs, self._folders, self._taken)
        for path, id in nameless.items():
            if path not in self._said:
                log.error("model.name_taken", model=id, path=str(path))
        self._said = set(nameless)
        return found
