"""What adapters' files are, kept on disk between starts: they need not be hashed each time."""

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import structlog

from latentry.contracts import Adapter
from worker.engine.adapters.beside import State

log = structlog.get_logger()

_FORMAT: Final = "2"


class AdapterCache:
    """One JSON file of entries for each `identity`: which models there are, and who reads files.

    An entry holds while its files are the same on disk by size and times. Whoever
    changes them behind that is found out when they are loaded, by their hash.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self.turn_to(identity)

    def turn_to(self, identity: str) -> None:
        """There are other models now, of which nothing is known until `recall`."""
        name = sha256((_FORMAT + identity).encode()).hexdigest()[:16]
        self._file = self._folder / f"{name}.json"
        self._known: dict[str, tuple[State, Adapter]] = {}

    def recall(self) -> None:
        """Load what an earlier start has read. An unreadable file is ignored."""
        try:
            rows = json.loads(self._file.read_text())
            self._known = {path: _entry(*row) for path, row in rows.items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("adapters.cache_unreadable", file=str(self._file), why=str(error))

    def find(self, path: Path, state: State) -> Adapter | None:
        """The entry of the file or folder at this path, if it was read in this state."""
        known = self._known.get(str(path))
        return known[1] if known and known[0] == state else None

    def keep(self, seen: Iterable[tuple[Path, State, Adapter]]) -> None:
        """Write all that there is now for the next start, which reads again if that fails."""
        found = {str(path): (state, entry) for path, state, entry in seen}
        if found == self._known:
            return
        self._known = found
        rows = {
            path: [state, entry.model_dump(mode="json")] for path, (state, entry) in found.items()
        }
        draft = self._file.with_suffix(".draft")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(rows))
            draft.replace(self._file)
        except (OSError, UnicodeError) as error:
            log.warning("adapters.cache_not_kept", file=str(self._file), why=str(error))


def _entry(state: Any, entry: Any) -> tuple[State, Adapter]:
    return tuple((int(a), int(b), int(c)) for a, b, c in state), Adapter.model_validate(entry)
