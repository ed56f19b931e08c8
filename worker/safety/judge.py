"""Pictures judged beside the step loop: those that come together share a call of the classifier."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

import structlog

from latentry.contracts.fields.safety import ImageRule
from latentry.errors import EngineError
from latentry.rules.moderation.image_rules import Verdict, verdict
from worker.engine.loop import Pixels
from worker.safety.classifier import Classifier, Prepared

log = structlog.get_logger()

MAX_PICTURES: Final = 16  # of one call
_UNJUDGED: Final = "The picture could not be checked, as a rule of this service demands."


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    picture: Prepared
    scores: Future[list[float]]


class Judge:
    """Runs one classifier on a thread of its own. For many threads, each of which waits for it."""

    def __init__(self, classifier: Classifier | None = None) -> None:
        self._classifier = classifier
        self._queue: SimpleQueue[_Waiting] = SimpleQueue()
        self._begun = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """What pictures are scored for; nothing without a classifier."""
        return self._classifier.labels if self._classifier else ()

    def verdict(self, views: Sequence[Pixels], rules: Sequence[ImageRule]) -> Verdict:
        """What these rules make of a picture, by the highest score of its views for each label.

        Raises EngineError if it cannot be checked.
        """
        if self._classifier is None or not {rule.label for rule in rules} <= set(self.labels):
            log.error("picture.unjudged", why="no classifier has the labels of its rules")
            raise EngineError(_UNJUDGED)
        self._begin()
        try:
            waiting = [_Waiting(self._classifier.prepared(one), Future()) for one in views]
            for one in waiting:
                self._queue.put(one)
            found = [one.scores.result() for one in waiting]
            scores = [max(of_label) for of_label in zip(*found, strict=True)]
        except Exception as error:
            log.exception("picture.unjudged")
            raise EngineError(_UNJUDGED) from error
        return verdict(dict(zip(self.labels, scores, strict=True)), rules)

    def _begin(self) -> None:
        with self._begun:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="judge", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < MAX_PICTURES and not self._queue.empty():
                batch.append(self._queue.get())
            self._answer(batch)

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        assert self._classifier is not None, "something waits for it"
        try:
            found = self._classifier.scores([one.picture for one in batch]).tolist()
            if len(found) != len(batch):
                raise ValueError("a classifier must score every picture of a call")
        except Exception as error:
            for one in batch:
                one.scores.set_exception(error)
            return
        for one, scores in zip(batch, found, strict=True):
            one.scores.set_result(scores)
