"""What is left of a blurred picture."""

import random

import numpy as np
import pytest

from tools.scenes.checker import detect
from tools.scenes.drawing import draw
from tools.scenes.scene import Scene, sample_scene
from worker.safety.resizing import blurred


def frogs(count: int) -> list[Scene]:
    rng, found = random.Random(1), []
    while len(found) < count:
        scene = sample_scene(rng, pairs=0)
        if scene.things[0].shape == "frog" and scene.things[0].size == "large":
            found.append(scene)
    return found


def test_no_frog_is_recognised() -> None:
    for scene in frogs(20):
        sharp = draw(scene)
        assert "frog" in [one.shape for one in detect(sharp).objects]
        assert "frog" not in [one.shape for one in detect(blurred(sharp)).objects]


@pytest.mark.parametrize("size", [(128, 128), (96, 192), (64, 512), (1, 7), (8, 1)])
def test_a_blurred_picture_has_its_size_and_about_its_colours(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    soft = blurred(pixels)
    assert soft.shape == pixels.shape
    if min(size) > 8:
        assert np.abs(soft.mean((0, 1)) - pixels.mean((0, 1))).max() < 12
        assert soft.std() < pixels.std() / 4
