"""Outlines of drawn pictures."""

import random

import numpy as np
import pytest

from tools.scenes.drawing import draw
from tools.scenes.edges import as_picture, canny
from tools.scenes.scene import Scene, Thing


def disc(radius: float = 30.0, colours: tuple[str, str] = ("white", "black")) -> Scene:
    inside, outside = colours
    return Scene(128, 96, outside, (Thing(inside, "circle", "", "", 60.0, 50.0, radius),))


def test_a_disc_becomes_a_thin_closed_circle() -> None:
    edges = canny(draw(disc()))
    rows, columns = np.nonzero(edges)
    far = np.hypot(columns + 0.5 - 60, rows + 0.5 - 50)
    assert abs(far - 28.5).max() < 1.5
    assert 0.8 * 2 * np.pi * 28.5 < len(rows) < 1.3 * 2 * np.pi * 28.5
    angles = np.sort(np.arctan2(rows - 50, columns - 60))
    assert np.diff(angles).max() < 0.1


@pytest.mark.parametrize("colours", [("red", "orange"), ("white", "yellow"), ("blue", "purple")])
def test_colours_that_are_near_each_other_have_an_edge(colours: tuple[str, str]) -> None:
    assert canny(draw(disc(colours=colours))).sum() > 100


def test_what_has_one_colour_has_no_edges() -> None:
    assert not canny(np.full((32, 48, 3), (50, 80, 220), np.uint8)).any()


def test_a_weak_edge_counts_only_beside_a_strong_one() -> None:
    ramp = np.zeros((32, 32, 3), np.uint8)
    ramp[:, 16:] = np.linspace(10, 90, 32).astype(np.uint8)[:, None, None]
    rows = canny(ramp, 60, 200).any(1)
    assert rows[-1]
    assert not rows[0]
    assert rows.sum() > canny(ramp, 200, 200).any(1).sum()
    assert not canny(ramp, 60, 400).any()


def test_lines_are_white_on_black() -> None:
    scene = disc(20 + random.Random(0).random())
    picture = as_picture(canny(draw(scene)))
    assert picture.shape == (96, 128, 3)
    assert set(np.unique(picture)) == {0, 255}
