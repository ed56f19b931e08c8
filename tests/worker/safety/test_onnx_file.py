"""Classifiers in ONNX files: the one of the tests looks at pixels; others are refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from worker.safety.opening import open_classifier

pytest.importorskip("onnxruntime")

from worker.safety.onnx_file import OnnxFile

FROGS = Path(__file__).parents[3] / "models" / "frogs" / "classifier.onnx"


@pytest.fixture(scope="module")
def frogs() -> OnnxFile:
    return OnnxFile.open(FROGS)


def test_the_classifier_is_small() -> None:
    assert FROGS.stat().st_size <= 300_000


def test_it_is_right_about_95_of_100_pictures_that_it_has_not_seen(frogs: OnnxFile) -> None:
    from tools.classifier import HELD_OUT, rendered

    pictures, truths = rendered(HELD_OUT, "unseen")
    assert sum(truths) == HELD_OUT // 2
    found = [score >= 0.5 for [score] in frogs.scores([frogs.prepared(one) for one in pictures])]
    assert np.mean(np.array(found) == np.array(truths)) >= 0.95


def test_scores_do_not_depend_on_the_batch(frogs: OnnxFile) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(5)]
    prepared = [frogs.prepared(one) for one in pictures]
    together = frogs.scores(prepared)
    assert together.shape == (5, 1)
    assert np.abs(together - np.concatenate([frogs.scores([one]) for one in prepared])).max() < 1e-5


def test_the_setting_opens_it(settings: Settings) -> None:
    opened = open_classifier(settings.model_copy(update={"classifier": str(FROGS)}))
    assert opened is not None
    assert opened.labels == ("frog",)
    assert open_classifier(settings) is None


def copied(tmp_path: Path, **description: object) -> Path:
    file = tmp_path / "classifier.onnx"
    shutil.copy(FROGS, file)
    file.with_suffix(".json").write_text(json.dumps({"labels": ["frog"]} | description))
    return file


def test_a_description_says_how_pictures_are_prepared(tmp_path: Path, frogs: OnnxFile) -> None:
    file = copied(tmp_path, mean=[0.5, 0.4, 0.3], std=[0.5, 0.25, 0.2], activation="sigmoid")
    pixels = np.full((10, 10, 3), 255, np.uint8)
    opened = OnnxFile.open(file)
    prepared = opened.prepared(pixels)
    assert np.allclose(prepared[:, 0, 0], [1.0, 2.4, 3.5], atol=1e-5)
    raw = OnnxFile.open(FROGS).scores([prepared])
    assert np.allclose(opened.scores([prepared]), 1 / (1 + np.exp(-raw)), atol=1e-5)


def test_a_crop_takes_the_middle(tmp_path: Path) -> None:
    pixels = np.zeros((50, 150, 3), np.uint8)
    pixels[:, 50:100] = 255
    assert OnnxFile.open(copied(tmp_path, crop=True)).prepared(pixels).mean() > 0.95
    assert OnnxFile.open(FROGS).prepared(pixels).mean() < 0.5


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "labels: Field required"),
        ('{"labels": []}', "labels: "),
        ('{"labels": ["a"], "std": [1, 1]}', "std.2: Field required"),
        ('{"labels": ["a"], "activation": "tanh"}', "activation: Input should be"),
        ('{"labels": ["a"], "lables": []}', "lables: Extra inputs"),
        ('{"labels": ["a", "b"]}', "is no usable classifier: its scores have shape"),
    ],
)
def test_a_wrong_description_is_said_at_start(tmp_path: Path, text: str, why: str) -> None:
    file = copied(tmp_path)
    file.with_suffix(".json").write_text(text)
    with pytest.raises(ConfigurationError, match=why):
        OnnxFile.open(file)


def test_what_is_no_classifier_is_said_at_start(settings: Settings, tmp_path: Path) -> None:
    file = copied(tmp_path)
    file.write_bytes(b"not ONNX")
    with pytest.raises(ConfigurationError, match="is no usable classifier"):
        OnnxFile.open(file)
    file.with_suffix(".json").unlink()
    with pytest.raises(ConfigurationError, match="must name the labels"):
        OnnxFile.open(file)
    for place_, why in ((tmp_path / "gone", "does not exist"), (file.parent / "x.pt", "neither")):
        if why == "neither":
            place_.write_text("x")
        with pytest.raises(ConfigurationError, match=why):
            open_classifier(settings.model_copy(update={"classifier": str(place_)}))
