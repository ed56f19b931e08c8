import random

import numpy as np
import pytest

from tools.scenes.drawing import draw
from tools.scenes.scene import COLOURS, POSITIONS, SHAPES, SIZES, Scene, place, sample_scene

FORMATS = ((96, 96), (128, 128), (192, 96), (96, 160))


def single(rng, *, width=128, height=128, background="blue", **attributes):
    wanted = {"colour": "red", "shape": "circle", "size": "medium", "position": "centre"}
    thing = place(rng, **(wanted | attributes), width=width, height=height)
    return Scene(width, height, background, (thing,))


@pytest.mark.parametrize("shape", ["circle", "square"])
@pytest.mark.parametrize("size", SIZES)
def test_centred_circles_and_squares_cover_the_central_pixels(shape, size):
    for seed in range(50):
        picture = draw(single(random.Random(seed), shape=shape, size=size))
        assert (picture[56:72, 56:72] == COLOURS["red"]).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("position", POSITIONS)
def test_every_shape_stays_inside_the_picture_at_every_position(shape, position):
    for width, height in FORMATS:
        scene = single(
            random.Random(width * height),
            width=width,
            height=height,
            shape=shape,
            position=position,
            size="large",
        )
        picture = draw(scene)
        assert picture.shape == (height, width, 3)
        border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        # A turned heart's smooth edge may just tint it.
        assert np.abs(border.astype(int) - COLOURS["blue"]).max() < 40


def test_edges_are_smooth():
    picture = draw(single(random.Random(1), shape="triangle"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_the_same_seed_draws_the_same_picture():
    scenes = [sample_scene(random.Random(3)) for _ in range(2)]
    assert (draw(scenes[0]) == draw(scenes[1])).all()


def test_colours_in_one_scene_differ():
    rng = random.Random(4)
    for _ in range(300):
        scene = sample_scene(rng, pairs=0.5)
        colours = [scene.background, *(thing.colour for thing in scene.things)]
        assert len(set(colours)) == len(colours)
