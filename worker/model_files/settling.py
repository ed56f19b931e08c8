"""What became of models between looks, once it is over: a pure rule, values in and values out."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from worker.model_files.found import Found

STILL_S: Final = 5.0  # files that have not changed for so long are whole, at the first look


@dataclass(frozen=True, slots=True)
class Changes:
    """Models that are new or other ones now, and those that are gone, by id."""

    there: Mapping[str, Found]
    gone: tuple[str, ...] = ()


class Settling:
    """Of each model what two looks in a row saw alike: a file that grows is being copied.

    And one that is missing once may be about to be replaced, or its disk to come back.
    """

    def __init__(self) -> None:
        self._last: Mapping[str, Found] = {}
        self._known: dict[str, Found] = {}

    def begin(
        self, found: Mapping[str, Found], now: float, certain: Container[str] = ()
    ) -> Changes:
        """The first look: what has not changed for a while counts, and what is `certain`."""
        self._last, before = found, now - STILL_S
        still = {id: one for id, one in found.items() if one.changed_at <= before or id in certain}
        self._known = dict(still)
        return Changes(still)

    def look(self, found: Mapping[str, Found]) -> Changes:
        """What has changed for good since the last changes."""
        last, self._last = self._last, found
        there = {
            id: one
            for id, one in found.items()
            if last.get(id) == one and self._known.get(id) != one
        }
        gone = tuple(id for id in self._known if id not in found and id not in last)
        self._known |= there
        for id in gone:
            del self._known[id]
        return Changes(there, gone)
