"""Pictures and masks made ready, and laid back."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentry.contracts import Extend, InpaintArea, InputFile, MaskChannel, MaskFill, ResizeMode
from tests.worker.engine import tiny
from worker.engine.inputs.canvas import Canvas
from worker.engine.inputs.extend import SEAM_PX
from worker.engine.inputs.fill import filled
from worker.engine.inputs.mask import read_mask, region
from worker.engine.inputs.resize import resized

WIDTH, HEIGHT = 64, 48


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def mask_of(width: int, height: int, box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = 255
    return mask


def canvas(image: np.ndarray, mask: np.ndarray | None = None, **changes: Any) -> Canvas:
    file = InputFile(file="file_1", pixel_sha256="1", width=1, height=1)
    fields = {"image": file, "mask": None if mask is None else file, "strength": 0.5}
    request = tiny.request(width=WIDTH, height=HEIGHT, **(fields | changes))
    found = Canvas.of(request, {"image": image} | ({} if mask is None else {"mask": mask}))
    assert found
    return found


def test_a_request_without_a_picture_has_no_canvas() -> None:
    assert Canvas.of(tiny.request(), {}) is None


def test_a_picture_of_the_right_size_is_taken_as_it_is() -> None:
    image = noise(WIDTH, HEIGHT)
    assert (canvas(image).picture == image).all()


@pytest.mark.parametrize("mode", ResizeMode)
@pytest.mark.parametrize("size", [(10, 90), (200, 7), (1, 1), (64, 64), (10_000, 1)])
def test_any_picture_gets_the_size_that_is_drawn(mode: ResizeMode, size: tuple[int, int]) -> None:
    assert canvas(noise(*size), resize_mode=mode).picture.shape == (HEIGHT, WIDTH, 3)


def test_crop_keeps_the_middle_and_pad_repeats_the_edges() -> None:
    image = Image.new("RGB", (30, 10), "red")
    image.paste("blue", (10, 0, 20, 10))
    cropped = np.asarray(resized(image, 10, 10, ResizeMode.CROP))
    assert (cropped == (0, 0, 255)).all()
    padded = np.asarray(resized(image, 30, 30, ResizeMode.PAD))
    assert (padded[:, 15] == (0, 0, 255)).all()
    assert (padded[:, 2] == (255, 0, 0)).all()


def test_transparent_parts_of_a_picture_are_white() -> None:
    image = noise(WIDTH, HEIGHT, 4)
    image[..., 3] = 0
    assert (canvas(image).picture == 255).all()


def test_white_is_repainted_and_what_is_transparent_if_anything_is() -> None:
    levels = np.asarray(read_mask(Image.fromarray(mask_of(8, 8, (0, 0, 4, 8)))))
    assert (levels[:, :4] == 255).all()
    assert (levels[:, 4:] == 0).all()
    white = np.full((8, 8, 4), 255, np.uint8)
    white[:2, :, 3] = 0
    levels = np.asarray(read_mask(Image.fromarray(white)))
    assert (levels[:2] == 255).all()
    assert (levels[2:] == 0).all()
    assert (np.asarray(read_mask(Image.fromarray(white), MaskChannel.ALPHA)) == levels).all()


@pytest.mark.parametrize("is_transparent", [True, False])
def test_what_is_opaque_is_repainted_as_in_automatic1111_or_else_what_is_white(
    is_transparent: bool,
) -> None:
    mask = mask_of(8, 8, (0, 0, 4, 8))
    if is_transparent:
        pixels = np.full((8, 8, 4), 255, np.uint8)
        pixels[:, 4:, 3] = 0
        mask = pixels
    levels = np.asarray(read_mask(Image.fromarray(mask), MaskChannel.OPAQUE))
    assert (levels[:, :4] == 255).all()
    assert (levels[:, 4:] == 0).all()
    rest = np.asarray(read_mask(Image.fromarray(mask), MaskChannel.TRANSPARENT))
    assert (rest == 255 - levels).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_by_its_alpha_alone_an_opaque_mask_repaints_nothing(mode: str) -> None:
    white = Image.new(mode, (8, 8), "white")
    assert not np.asarray(read_mask(white, MaskChannel.ALPHA)).any()
    assert np.asarray(read_mask(white)).all()


@pytest.mark.parametrize("area", InpaintArea)
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (100, 90), (37, 201)])
def test_pixels_outside_the_mask_keep_their_bytes(area: InpaintArea, size: tuple[int, int]) -> None:
    image, mask = noise(*size), mask_of(*size, (10, 20, 25, 35))
    made = canvas(image, mask, inpaint_area=area, mask_padding=4)
    assert made.picture.shape == (HEIGHT, WIDTH, 3)
    finished = made.pasted(noise(WIDTH, HEIGHT, seed=1))
    assert made.whole is not None
    assert made.opacity is not None
    kept = made.opacity == 0
    assert kept.any()
    assert (finished[kept] == made.whole[kept]).all()
    assert (finished[~kept] != made.whole[~kept]).any()
    if area is InpaintArea.MASKED:
        assert (made.whole == image).all(), "it keeps its own size"


def test_of_equal_sizes_the_drawn_pixels_are_taken_as_they_are() -> None:
    image, drawn = noise(WIDTH, HEIGHT), noise(WIDTH, HEIGHT, seed=1)
    finished = canvas(image, mask_of(WIDTH, HEIGHT, (8, 8, 40, 40))).pasted(drawn)
    assert (finished[8:40, 8:40] == drawn[8:40, 8:40]).all()


def test_blur_softens_the_edge_and_only_that() -> None:
    image, drawn = (
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        np.full((HEIGHT, WIDTH, 3), 200, np.uint8),
    )
    finished = canvas(image, mask_of(WIDTH, HEIGHT, (0, 0, 32, HEIGHT)), mask_blur=2).pasted(drawn)
    line = finished[24, :, 0].astype(int)
    assert (np.diff(line) <= 0).all()
    assert len(set(line[24:40])) > 4
    assert (line[:20] == 200).all()
    assert (line[44:] == 0).all()


def test_the_region_has_the_padding_and_the_shape_that_is_drawn() -> None:
    mask = Image.fromarray(mask_of(200, 200, (90, 95, 110, 105))).convert("L")
    left, top, right, bottom = region(mask, 10, 64, 48)
    assert left <= 80
    assert right >= 120
    assert top <= 85
    assert bottom >= 115
    assert (right - left) * 48 == pytest.approx((bottom - top) * 64, rel=0.05)


@pytest.mark.parametrize(
    "box", [(0, 0, 3, 3), (190, 190, 200, 200), (0, 0, 200, 200), (0, 0, 0, 0)]
)
def test_the_region_stays_inside_the_picture(box: tuple[int, int, int, int]) -> None:
    mask = Image.fromarray(mask_of(200, 200, box)).convert("L")
    left, top, right, bottom = region(mask, 32, 64, 48)
    assert 0 <= left < right <= 200
    assert 0 <= top < bottom <= 200


def test_fill_takes_colours_from_around_and_keeps_all_others() -> None:
    pixels = noise(40, 40) // 8 + np.uint8(100)
    unknown = np.zeros((40, 40), bool)
    unknown[10:30, 5:25] = True
    pixels[unknown] = 255
    found = filled(pixels, unknown)
    assert (found[~unknown] == pixels[~unknown]).all()
    assert found[unknown].max() < 140
    assert found[unknown].min() >= 95


def test_fill_without_a_known_pixel_changes_nothing() -> None:
    pixels = noise(9, 5)
    assert (filled(pixels, np.ones((5, 9), bool)) == pixels).all()


def test_mask_fill_is_seen_in_what_is_drawn_from_only() -> None:
    image, mask = noise(WIDTH, HEIGHT), mask_of(WIDTH, HEIGHT, (8, 8, 40, 40))
    made = canvas(image, mask, mask_fill=MaskFill.FILL)
    assert (made.picture != image).any()
    assert (made.whole == image).all()


SIDES = Extend(left=16, right=8, bottom=8)


def test_an_extended_picture_keeps_all_but_its_seams() -> None:
    image, drawn = noise(WIDTH - 24, HEIGHT - 8), noise(WIDTH, HEIGHT, seed=1)
    made = canvas(image, extend=SIDES)
    finished = made.pasted(drawn)
    inner = finished[: HEIGHT - 8, 16 : WIDTH - 8]
    assert (inner[:-SEAM_PX, SEAM_PX:-SEAM_PX] == image[:-SEAM_PX, SEAM_PX:-SEAM_PX]).all()
    assert (inner[0, 20] == image[0, 20]).all(), "the top is no seam"
    assert (finished[:, :16] == drawn[:, :16]).all()
    assert (finished[-8:] == drawn[-8:]).all()


def test_what_surrounds_an_extended_picture_begins_in_its_colours() -> None:
    image = np.full((HEIGHT - 8, WIDTH - 24, 3), (10, 200, 30), np.uint8)
    assert (canvas(image, extend=SIDES).picture == (10, 200, 30)).all()


def test_a_picture_may_be_masked_and_extended() -> None:
    image = noise(WIDTH - 24, HEIGHT - 8)
    made = canvas(image, mask_of(WIDTH - 24, HEIGHT - 8, (0, 0, 20, 4)), extend=SIDES)
    assert made.repainted is not None
    assert made.repainted[2, 30]
    assert not made.repainted[6, 36]


def test_a_crop_of_a_line_makes_no_picture_larger_than_what_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scaled to cover 64 × 48 as a whole it would have 480,000 × 48 pixels."""
    made: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *how: Any, **more: Any) -> Image.Image:
        made.append(size)
        return resize(image, size, *how, **more)

    monkeypatch.setattr(Image.Image, "resize", watched)
    canvas(noise(10_000, 1), mask_of(10_000, 1, (0, 0, 9_000, 1)), resize_mode=ResizeMode.CROP)
    assert set(made) == {(WIDTH, HEIGHT)}
