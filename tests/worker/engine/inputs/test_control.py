"""What a ControlNet is shown, and the edges that it was trained on."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentry.contracts import Control, InputFile, Preprocess, ResizeMode
from tests.worker.engine import tiny
from worker.engine.inputs import canny as edge_detection
from worker.engine.inputs.canny import Edges, canny, ridges
from worker.engine.inputs.canvas import Canvas, Pixels
from worker.engine.inputs.control import control_pictures

FILE = InputFile(file="file_1", pixel_sha256="1", width=40, height=24)
CONTROL = Control(id="lines", image=FILE, sha256="1" * 64)
WHITE = 255


def noise(seed: int, height: int = 24, width: int = 40) -> Pixels:
    cells = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def gradient(picture: Pixels, y: int, x: int) -> tuple[int, int]:
    """Of the channel that changes most here."""
    edged = np.pad(picture.astype(int), ((1, 1), (1, 1), (0, 0)), mode="edge")
    found = []
    for c in range(3):
        p = edged[y : y + 3, x : x + 3, c]
        dx = p[0, 2] + 2 * p[1, 2] + p[2, 2] - p[0, 0] - 2 * p[1, 0] - p[2, 0]
        dy = p[2, 0] + 2 * p[2, 1] + p[2, 2] - p[0, 0] - 2 * p[0, 1] - p[0, 2]
        found.append((int(dx), int(dy)))
    return max(found, key=lambda one: abs(one[0]) + abs(one[1]))


def is_ridge(near: Any, dx: int, dy: int) -> bool:
    """Whether it is more than both neighbours along the gradient."""
    m, level, steep = near(0, 0), abs(dx) * 13573, abs(dy) << 15
    if steep < level:
        return bool(m > near(0, -1) and m >= near(0, 1))
    if steep > level + (abs(dx) << 16):
        return bool(m > near(-1, 0) and m >= near(1, 0))
    s = -1 if (dx ^ dy) < 0 else 1
    return bool(m > near(-1, -s) and m > near(1, s))


def plainly(picture: Pixels, low: int, high: int) -> Pixels:
    """OpenCV's modules/imgproc/src/canny.cpp, pixel by pixel."""
    height, width, _ = picture.shape
    each = {(y, x): gradient(picture, y, x) for y in range(height) for x in range(width)}
    strength = {place: abs(dx) + abs(dy) for place, (dx, dy) in each.items()}
    weak = {
        (y, x)
        for (y, x), own in each.items()
        if strength[y, x] > low
        and is_ridge(lambda b, a, y=y, x=x: strength.get((y + b, x + a), 0), *own)
    }
    stack = [place for place in weak if strength[place] > high]
    found = set(stack)
    while stack:
        y, x = stack.pop()
        around = {(y + b, x + a) for b in (-1, 0, 1) for a in (-1, 0, 1)}
        new = (around & weak) - found
        found |= new
        stack += new
    edges = np.zeros((height, width, 3), np.uint8)
    for place in found:
        edges[place] = WHITE
    return edges


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("low", "high"), [(100, 200), (40, 500), (20, 20)])
def test_edges_are_opencv_s(seed: int, low: int, high: int) -> None:
    picture = noise(seed)
    assert (canny(picture, low, high) == plainly(picture, low, high)).all()


def test_a_picture_without_an_edge_has_none() -> None:
    assert not canny(np.full((8, 8, 3), 7, np.uint8), 1, 1).any()


def test_a_long_edge_is_followed_to_its_end() -> None:
    """A spiral that is bright at its middle alone: by steps along it this would take minutes."""
    side = 1024
    picture = np.zeros((side, side, 3), np.uint8)
    for turn, inset in enumerate(range(4, side // 2 - 4, 6)):
        level = 60
        picture[inset, inset - (6 if turn else 0) : side - inset] = level
        picture[inset : side - inset, side - inset] = level
        picture[side - inset, inset : side - inset + 1] = level
        picture[inset + 6 : side - inset, inset] = level
    picture[side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8] = 255
    assert canny(picture, 100, 1000).any()


@pytest.mark.parametrize("mode", list(ResizeMode))
def test_it_is_resized_before_its_edges_are_found(mode: ResizeMode) -> None:
    control = CONTROL.model_copy(update={"resize_mode": mode, "preprocess": Preprocess.CANNY})
    [shown] = control_pictures(control, noise(1), tiny.request(), None)
    assert shown.shape == (64, 64, 3)
    assert set(np.unique(shown)) == {0, WHITE}
    plain = control.model_copy(update={"preprocess": Preprocess.NONE})
    [picture] = control_pictures(plain, noise(1), tiny.request(), None)
    assert (canny(picture, 100, 200) == shown).all()


def test_inverted_it_is_white_on_black() -> None:
    control = CONTROL.model_copy(update={"preprocess": Preprocess.INVERT})
    page = np.full((64, 64, 3), WHITE, np.uint8)
    page[10] = 0
    [shown] = control_pictures(control, page, tiny.request(), None)
    assert (shown[10] == WHITE).all()
    assert (shown[11:] == 0).all()


def test_what_is_transparent_is_white() -> None:
    clear = np.zeros((64, 64, 4), np.uint8)
    [shown] = control_pictures(CONTROL, clear, tiny.request(), None)
    assert (shown == WHITE).all()


def test_a_second_pass_sees_it_at_its_own_size() -> None:
    hires = {"width": 128, "height": 96, "steps": 3, "strength": 0.7}
    first, second = control_pictures(CONTROL, noise(1), tiny.request(hires=hires), None)
    assert (first.shape, second.shape) == ((64, 64, 3), (96, 128, 3))


def test_of_a_picture_that_is_drawn_in_part_it_is_the_same_part() -> None:
    request = tiny.request(
        image=FILE, mask=FILE, strength=1.0, inpaint_area="masked", mask_padding=0
    )
    picture, mask = noise(2, 128, 128), np.zeros((128, 128, 3), np.uint8)
    mask[32:96, 64:128] = WHITE
    canvas = Canvas.of(request, {"image": picture, "mask": mask})
    assert canvas
    [shown] = control_pictures(CONTROL, picture, request, canvas)
    assert (shown == picture[32:96, 64:128]).all()


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 23])
def test_edges_in_strips_are_those_of_the_whole(rows: int) -> None:
    picture = noise(3)
    cuts = range(0, len(picture), rows)
    edges = Edges()
    for top in cuts:
        edges.add(*ridges(picture, top, min(top + rows, len(picture)), 60, 120))
    assert np.array_equal(edges.picture(), canny(picture, 60, 120))
    assert edges.picture().any()


def test_an_edge_that_winds_through_all_strips_is_one() -> None:
    winding = np.zeros((9, 7), np.bool_)
    winding[::4] = winding[1:4, 0] = winding[5:8, 6] = True
    weak, strong = winding.copy(), np.zeros_like(winding)
    weak[2, 5], strong[8, 0] = True, True  # the first hangs together with nothing
    edges = Edges()
    for row in range(len(weak)):
        edges.add(weak[row : row + 1], strong[row : row + 1])
    assert np.array_equal(edges.picture()[..., 0] > 0, winding)


def test_no_call_connects_more_than_a_strip(monkeypatch) -> None:
    """Else the largest picture would hold up everybody's steps for seconds."""
    connected, labels = list[tuple[int, int]](), edge_detection._labels

    def counted(count: int, pairs):
        connected.append((count, pairs.shape[1]))
        return labels(count, pairs)

    monkeypatch.setattr(edge_detection, "_labels", counted)
    picture, edges = noise(4, 256, 256), Edges()
    for top in range(0, 256, 32):
        edges.add(*ridges(picture, top, top + 32, 60, 120))
    assert len(connected) == 8
    assert max(count for count, _ in connected) <= 32 * 256
    edges.picture()
    assert connected[-1][1] <= 3 * 256 * 7  # the rows where two strips meet
