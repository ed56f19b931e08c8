"""Which models' lines to claim from next, when not all models fit into memory at once."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

# A line whose model is not in memory waits at most so long for its turn to be claimed by age.
ALL_S: Final = 10.0


class QueueChoice:
    """Those of models in memory first; every ten seconds, and when those are empty, all of them.

    A claim takes the job that waited longest across the lines it is given, so whichever line it
    belongs to, no job waits for more than that. Queues of models that `failed` to load are left
    to other workers. Both are asked from the claiming thread.
    """

    def __init__(
        self,
        models: Sequence[str],
        resident: Callable[[], Collection[str]],
        failed: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._models = models
        self._resident = resident
        self._failed = failed
        self._all_at = 0.0
        self._left_some = False

    def choose(self, now: float) -> Sequence[str]:
        """The lines to claim from; `now` in seconds of any clock that only goes on."""
        held, failed = self._resident(), self._failed()
        able = [model for model in self._models if model not in failed]
        here = [model for model in able if model in held]
        lines = here if here and now < self._all_at else able
        if lines is able:
            self._all_at = now + ALL_S
        self._left_some = len(lines) < len(able)
        return lines

    @property
    def here(self) -> Sequence[str]:
        """The lines of models in memory."""
        held = self._resident()
        return [model for model in self._models if model in held]

    def were_empty(self) -> bool:
        """The lines chosen last gave nothing; whether others are left to be tried at once."""
        if self._left_some:
            self._all_at = 0.0
        return self._left_some
