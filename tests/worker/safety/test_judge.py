"""Pictures are judged together, in the order of nobody, and never passed unjudged."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from latentry.contracts.fields.safety import ImageAction
from latentry.errors import EngineError
from latentry.rules.moderation.image_rules import verdict
from tests.worker.safety.brightness import Brightness, rule
from worker.safety.judge import MAX_PICTURES, Judge


def grey(level: int) -> np.ndarray:
    return np.full((8, 8, 3), level, np.uint8)


class Held(Brightness):
    """Answers its first call when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.opened = threading.Event(), threading.Event()

    def scores(self, pictures):
        self.asked.set()
        assert self.opened.wait(30)
        return super().scores(pictures)


def test_each_picture_gets_its_own_verdict() -> None:
    judge = Judge(Brightness())
    found = judge.verdict([grey(255)], [rule()])
    assert (found.action, found.safety.labels) == (ImageAction.BLOCK, ["bright"])
    assert found.safety.scores == {"bright": 1.0, "dark": 0.0}
    passed = judge.verdict([grey(0)], [rule()])
    assert (passed.action, passed.safety.labels, passed.rules) == (ImageAction.NONE, [], ())
    assert passed.safety.scores == {"bright": 0.0, "dark": 1.0}


def test_pictures_that_come_meanwhile_share_calls() -> None:
    classifier = Held()
    judge = Judge(classifier)
    count = 2 * MAX_PICTURES + 1
    with ThreadPoolExecutor(count) as pool:
        first = pool.submit(judge.verdict, [grey(255)], [rule()])
        assert classifier.asked.wait(30)
        others = [pool.submit(judge.verdict, [grey(k)], [rule()]) for k in range(count - 1)]
        while judge._queue.qsize() < count - 1:
            pass
        classifier.opened.set()
        scores = [one.result().safety.scores["bright"] for one in others]
    assert first.result().action is ImageAction.BLOCK
    assert classifier.calls == [1, MAX_PICTURES, MAX_PICTURES]
    assert scores == [round(float(np.float32(k / 255)), 3) for k in range(count - 1)]


class Broken(Brightness):
    def scores(self, pictures):
        raise RuntimeError("no such kernel")


class Forgetful(Brightness):
    def scores(self, pictures):
        return super().scores(pictures)[:0]


@pytest.mark.parametrize("judge", [Judge(), Judge(Broken()), Judge(Forgetful())])
def test_a_picture_that_cannot_be_judged_fails(judge: Judge) -> None:
    with pytest.raises(EngineError, match="could not be checked"):
        judge.verdict([grey(0)], [rule()])


def test_a_label_that_the_classifier_does_not_have_fails() -> None:
    with pytest.raises(EngineError, match="could not be checked"):
        Judge(Brightness()).verdict([grey(0)], [rule(label="frog")])


def test_the_strictest_rule_that_is_reached_decides_and_all_are_told() -> None:
    rules = [rule("flag", 0.2), rule("block", 0.9, charge=True), rule("blur", 0.5)]
    for score, action, names in (
        (0.1, "none", []),
        (0.2, "flag", ["bright-flag"]),
        (0.7, "blur", ["bright-blur", "bright-flag"]),
        (0.95, "block", ["bright-block", "bright-blur", "bright-flag"]),
    ):
        found = verdict({"bright": score}, rules)
        assert found.action == action
        assert [name for name, _ in found.applied] == names
        assert found.is_charged == (action == "block")


def test_what_a_batch_changes_in_the_last_digits_decides_nothing() -> None:
    assert verdict({"bright": 0.4999999}, [rule()]).action is ImageAction.BLOCK
    assert verdict({"bright": 0.4989}, [rule()]).action is ImageAction.NONE
