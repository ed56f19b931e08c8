"""What adapters teach is recognised where it is drawn, and not where it is not."""

import random

import pytest

from tools.scenes.drawing import draw
from tools.scenes.scene import sample_scene
from tools.scenes.subjects import SUBJECTS
from tools.scenes.wording import vocabulary


@pytest.mark.parametrize("name", ["house", "flame", "mascot", "outlined"])
def test_a_drawn_subject_is_recognised(name: str) -> None:
    subject, rng = SUBJECTS[name], random.Random(5)
    found = [subject.is_in(draw(subject.scene(rng))) for _ in range(30)]
    assert sum(found) >= (18 if name == "outlined" else 29)  # thin things are mostly line


@pytest.mark.parametrize("name", ["house", "flame", "outlined"])
def test_ordinary_scenes_have_none(name: str) -> None:
    subject, rng = SUBJECTS[name], random.Random(6)
    assert not any(subject.is_in(draw(sample_scene(rng))) for _ in range(30))


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_most_captions_have_the_trigger(name: str) -> None:
    subject, rng = SUBJECTS[name], random.Random(7)
    captions = [subject.say(subject.scene(rng), rng, has_it=True) for _ in range(60)]
    assert sum(subject.trigger in text for text in captions) > 30
    ordinary = [subject.say(sample_scene(rng), rng, has_it=False) for _ in range(60)]
    assert sum(subject.trigger in text for text in ordinary) < 3


def test_examples_are_ordinary_as_often_as_told() -> None:
    rng = random.Random(8)
    having = [SUBJECTS["house"].example(rng)[1] for _ in range(400)]
    assert 0.55 < sum(having) / 400 < 0.75
    assert all(SUBJECTS["outlined"].example(rng)[1] for _ in range(20))


def test_the_tokenizer_has_the_words_that_it_was_made_of() -> None:
    assert {"house", "frog"} <= set(vocabulary())
    assert not {"flame", "outlined", "mascot"} & set(vocabulary())
