"""Which models' lines to claim from next, when not all models fit into memory at once."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

# A line whose model is not in memory waits at most so long for its turn to be claimed by age.
ALL_S: Final = 10.0


class Lines:
    """Those of models in memory first; every ten seconds, and when those are empty, all of them.

    A claim takes the job that waited longest across the lines it is given, so whichever line it
    belongs to, no job waits for more than that. `resident` is asked from the claiming thread.
    """

    def __init__(self, models: Sequence[str], resident: Callable[[], Collection[str]]) -> None:
        self._models = models
        self._resident = resident
        self._all_at = 0.0

    def choose(self, now: float) -> Sequence[str]:
        """The lines to claim from; `now` in seconds of any clock that only goes on."""
        held = self._resident()
        here = [model for model in self._models if model in held]
        if here and now < self._all_at:
            return here
        self._all_at = now + ALL_S
        return self._models

    def were_empty(self, lines: Sequence[str]) -> bool:
        """Those lines gave nothing; whether others are left to be tried at once."""
        if len(lines) == len(self._models):
            return False
        self._all_at = 0.0
        return True
