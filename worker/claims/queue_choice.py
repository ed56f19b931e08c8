"""Which models' queues to claim from next, when not all models fit into memory at once."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

# The queue of a model that is not in memory waits at most so long until its jobs count by age.
ALL_S: Final = 10.0


class QueueChoice:
    """Queues of models in memory first; every ten seconds, and when those are empty, all of them.

    A claim takes the job that waited longest across the queues it is given, so no job of any queue
    waits for more than that. Queues of models that `failed` to load are left to other workers.
    `resident` and `failed` are called from the claiming thread.
    """

    def __init__(
        self,
        models: Sequence[str],
        resident: Callable[[], Collection[str]],
        failed: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._models = tuple(models)
        self._resident = resident
        self._failed = failed
        self._all_at = 0.0
        self._left_some = False

    @property
    def models(self) -> Sequence[str]:
        """Those whose queues are chosen from. From any thread."""
        return self._models

    def add(self, model: str) -> None:
        """Choose from this model's queue too. From any thread, but one at a time."""
        if model not in self._models:
            self._models = (*self._models, model)

    def remove(self, model: str) -> None:
        """Leave this model's queue to others. From any thread, but one at a time."""
        self._models = tuple(one for one in self._models if one != model)

    def choose(self, now: float) -> Sequence[str]:
        """The queues to claim from; `now` in seconds of a monotonic clock."""
        failed, resident = self._failed(), self._resident()
        able = [model for model in self._models if model not in failed]
        here = [model for model in able if model in resident]
        queues = here if here and now < self._all_at else able
        if queues is able:
            self._all_at = now + ALL_S
        self._left_some = len(queues) < len(able)
        return queues

    @property
    def resident(self) -> Sequence[str]:
        """The queues of models in memory."""
        resident = self._resident()
        return [model for model in self._models if model in resident]

    def are_empty(self) -> bool:
        """The queues chosen last have no job; whether others were left out, which come next."""
        if self._left_some:
            self._all_at = 0.0
        return self._left_some
