import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tools.evaluate import judge
from tools.scenes.checker import detect
from tools.scenes.drawing import draw
from tools.scenes.scene import sample_scene


@pytest.mark.parametrize("pairs", [0.0, 1.0])
@pytest.mark.parametrize(("width", "height"), [(128, 128), (96, 192), (192, 160)])
@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_drawn_scenes_are_recognised(pairs, width, height, blur):
    rng = random.Random(f"{pairs} {width} {height}")
    marks = Counter()
    for _ in range(34):
        scene = sample_scene(rng, width, height, pairs=pairs)
        picture = Image.fromarray(draw(scene)).filter(ImageFilter.GaussianBlur(blur))
        marks += judge(scene, detect(np.asarray(picture)))
    assert marks["background"] == marks["pictures"]
    assert marks["all colours"] >= 0.99 * marks["pictures"]
    for attribute in ("colour", "shape", "position"):
        assert marks[attribute] >= 0.98 * marks["things"], attribute


def test_an_empty_picture_has_no_objects():
    detection = detect(np.full((128, 128, 3), (50, 80, 220), np.uint8))
    assert detection.background == "blue"
    assert detection.objects == ()


def test_a_shapeless_patch_is_no_shape():
    picture = np.full((128, 128, 3), (245, 245, 245), np.uint8)
    picture[40:90, 40:48] = picture[82:90, 40:90] = (20, 20, 20)
    (found,) = detect(picture).objects
    assert found.colour == "black"
    assert found.shape is None


def test_noise_is_off_the_palette():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    assert detect(noise).off_palette > 0.3
