"""Upscales: how a picture is cut into calls, what that costs, what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry.contracts import InputFile, OutputFormat, ResolvedUpscale, UpscalerCard
from latentry.contracts.catalogue.models import Pace
from latentry.errors import ImageTooLarge, UnsupportedField, UnsupportedSize
from latentry.rules.upscaling import (
    MAX_SIDE_PX,
    OVERLAP_PX,
    STRIP_PIXELS,
    call_sizes,
    price_upscale,
    refuse_impossible_upscale,
    strips,
    tiles,
)

LANCZOS = UpscalerCard(id="lanczos", architecture="Lanczos", scale=8, default_scale=2, created=0)
NETWORK = UpscalerCard(
    id="4x", architecture="ESRGAN", scale=4, default_scale=4, created=0, tile=160
)
MAX = 2 * 4096**2
SIDES = st.integers(1, 3000)


def request(width: int = 100, height: int = 80, **fields: object) -> ResolvedUpscale:
    image = InputFile(file="file_1", pixel_sha256="0", width=width, height=height)
    blank = {"image": image, "scale": 2.0, "upscaler": "lanczos"}
    return ResolvedUpscale.model_validate(blank | fields)


@given(SIDES, SIDES)
def test_tiles_of_one_size_cover_the_picture_and_overlap(width: int, height: int) -> None:
    found = tiles(width, height, 160)
    assert {tile.size for tile in found} == {(min(height, 160), min(width, 160))}
    for starts, length, side in (
        (sorted({tile.left for tile in found}), width, min(width, 160)),
        (sorted({tile.top for tile in found}), height, min(height, 160)),
    ):
        assert starts[0] == 0
        assert starts[-1] + side == length
        assert all(first + side - second >= OVERLAP_PX for first, second in pairwise(starts))
        assert all(second > first for first, second in pairwise(starts))
    assert found == sorted(found, key=lambda tile: (tile.top, tile.left)), "row by row"


@given(SIDES, SIDES)
def test_strips_cover_the_picture_once_and_are_small(width: int, height: int) -> None:
    found = strips(width, height)
    assert (found[0].top, found[-1].bottom) == (0, height)
    assert all(above.bottom == below.top for above, below in pairwise(found))
    for strip in found:
        rows, across = strip.size
        assert rows >= 1
        assert across == width
        assert (rows - 1) * width <= STRIP_PIXELS


def test_what_a_network_draws_larger_than_wanted_is_resampled_in_further_calls() -> None:
    whole = call_sizes(request(scale=4.0), NETWORK)
    assert whole == [(320, 400)]
    smaller = call_sizes(request(scale=1.5), NETWORK)
    assert smaller == [(320, 400), (120, 150)]
    assert call_sizes(request(0, 0), NETWORK) == [], "not fetched so far"


def test_the_price_is_by_the_pixels_that_are_made() -> None:
    plain = price_upscale(request(1000, 500), LANCZOS)
    assert plain.step_megapixels == 2.0
    assert plain.seats == 0
    measured = LANCZOS.model_copy(update={"pace": Pace(step_megapixel_s=0.01, images_at_once=1)})
    assert price_upscale(request(1000, 500), measured).cost_ms == 20
    network, less = (price_upscale(request(scale=s), NETWORK) for s in (4.0, 1.5))
    assert network == less, "the network makes the same of it"
    assert network.step_megapixels == pytest.approx(400 * 320 / 1e6)
    assert price_upscale(request(0, 0), NETWORK).cost_ms == 1


@pytest.mark.parametrize(
    ("fields", "card", "error"),
    [
        ({"scale": 4.1}, NETWORK, UnsupportedSize),
        ({"scale": 1.001}, LANCZOS, UnsupportedSize),
        ({"output_format": OutputFormat.JPEG, "output_lossless": True}, LANCZOS, UnsupportedField),
        ({"output_quality": 50}, LANCZOS, UnsupportedField),
        ({"width": 4000, "height": 3000}, LANCZOS, ImageTooLarge),
        ({"width": MAX_SIDE_PX, "height": 1}, LANCZOS, ImageTooLarge),
        # A network makes all of it before it is scaled down.
        ({"width": 2000, "height": 1500, "scale": 1.5}, NETWORK, ImageTooLarge),
    ],
)
def test_what_cannot_be_done_is_refused(fields: dict, card: UpscalerCard, error) -> None:
    size = {name: fields.pop(name) for name in ("width", "height") if name in fields}
    with pytest.raises(error) as refused:
        refuse_impossible_upscale(request(**size, **fields), card, max_pixels=MAX)
    assert refused.value.fields


def test_what_can_be_done_passes() -> None:
    refuse_impossible_upscale(request(4096, 2048), LANCZOS, max_pixels=MAX)
    refuse_impossible_upscale(request(0, 0, scale=8.0), LANCZOS, max_pixels=MAX)
