"""Controls: sizes, calls, prices and what is refused."""

import pytest

from latentry.contracts import (
    InputFile,
    OutputFormat,
    PreprocessorsCard,
    ResizeMode,
    ResolvedControl,
)
from latentry.contracts.catalogue.models import Pace
from latentry.errors import ImageTooLarge, UnsupportedField
from latentry.rules.preprocessing import (
    control_calls,
    price_control,
    refuse_impossible_control,
    sized,
)
from latentry.rules.upscaling import STRIP_PIXELS

CARD = PreprocessorsCard(preprocessors=("canny",))
MEGAPIXEL = 1000, 1000


def control(width: int = 0, height: int = 0, *, of: tuple[int, int] = (300, 200), **fields):
    image = InputFile(file="", pixel_sha256="", width=of[0], height=of[1])
    given = {"preprocess": "canny", "width": width, "height": height}
    return ResolvedControl(image=image, **given | fields)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((0, 0), (300, 200)),
        ((150, 0), (150, 100)),
        ((0, 50), (75, 50)),
        ((7, 0), (7, 5)),
        ((1, 0), (1, 1)),
        ((64, 64), (64, 64)),
    ],
)
def test_a_missing_side_keeps_the_proportions(asked, found) -> None:
    assert sized(control(*asked)).final_size == found


def test_of_a_picture_whose_size_is_not_known_nothing_is() -> None:
    request = sized(control(64, of=(0, 0)))
    assert request.final_size == (64, 0)
    assert control_calls(request) == []
    assert price_control(request, CARD).cost_ms == 1
    refuse_impossible_control(request)


def calls(request: ResolvedControl) -> list[tuple[str, tuple[int, int]]]:
    return [(one.operation, one.box.size) for one in control_calls(request)]


def test_edges_take_a_call_for_each_strip_and_one_that_connects_them() -> None:
    size = 1024, 512
    found = calls(control(512, 1024, of=(512, 1024)))
    assert found == [("edges", (512, 512)), ("edges", (512, 512)), ("connect", size)]
    of = {"of": (512, 1024)}
    assert calls(control(512, 1024, preprocess="invert", **of)) == [("invert", size)]
    assert calls(control(512, 1024, preprocess="none", **of)) == [("nothing", size)]


def test_a_picture_is_resized_in_strips_of_its_rows_and_of_its_columns() -> None:
    shrunk = control(512, 256, of=(4096, 2048), preprocess="none")
    rows, columns = [("rows", (64, 4096))] * 32, [("columns", (2048, 128))] * 4
    assert calls(shrunk) == rows + columns
    grown = control(2048, 1024, of=(256, 512), preprocess="none")
    assert calls(grown) == [("rows", (128, 2048))] * 4 + [("columns", (1024, 256))] * 8
    flattened = control(512, 64, of=(512, 1024), preprocess="none")
    assert calls(flattened) == [("columns", (1024, 256))] * 2
    tall = control(500, 512, of=(512, 1024), preprocess="none")
    assert calls(tall)[:3] == [("columns", (1024, 256))] * 2 + [("rows", (512, 512))]
    narrowed = control(512, 512, of=(1024, 512), preprocess="invert")
    assert calls(narrowed) == [("rows", (256, 1024))] * 2 + [("invert", (512, 512))]
    padded = control(512, 512, of=(512, 256), preprocess="none", resize_mode="pad")
    assert calls(padded) == [("pad", (512, 512))]


@pytest.mark.parametrize("mode", ResizeMode)
def test_no_call_of_any_picture_is_larger_than_its_strip(mode) -> None:
    """Else everybody's steps would wait for it."""
    for of in ((4096, 4096), (16_383, 1000), (1000, 16_383), (1, 16_383)):
        for size in ((2048, 2048), (16_383, 256), (256, 16_383), (1, 1)):
            request = control(*size, of=of, preprocess="none", resize_mode=mode)
            strips = [one.box.area for one in control_calls(request) if one.resized]
            assert max(strips, default=0) <= STRIP_PIXELS + 16_383


def test_the_price_is_of_all_calls_at_the_measured_pace() -> None:
    paced = CARD.model_copy(update={"pace": Pace(step_megapixel_s=0.5, images_at_once=1)})
    priced = price_control(control(1000, 1000, of=MEGAPIXEL), paced)
    assert (priced.step_megapixels, priced.cost_ms, priced.seats) == (2.0, 550, 1)
    assert price_control(control(1000, 1000, of=MEGAPIXEL, preprocess="none"), paced).cost_ms == 50


def test_a_picture_that_becomes_small_costs_what_reading_it_does() -> None:
    """Else the largest ones would be worth nothing in quotas, and in turns."""
    large = {"of": (4096, 4096), "preprocess": "none"}
    assert price_control(control(1, 1, **large), CARD).step_megapixels == 16.781312
    assert price_control(control(1, 1, **large), CARD).cost_ms == 1_678


def test_what_is_too_large_or_has_no_such_format_is_refused() -> None:
    refuse_impossible_control(control(2048, 2048))
    refuse_impossible_control(sized(control(of=(16_383, 8))))
    for one in (
        control(2049, 2048),
        sized(control(of=(16_384, 8))),
        sized(control(1, of=(1, 17_000))),
    ):
        with pytest.raises(ImageTooLarge) as caught:
            refuse_impossible_control(one)
        assert caught.value.fields.keys() == {"/width", "/height"}
    with pytest.raises(UnsupportedField):
        refuse_impossible_control(
            control(8, 8, output_format=OutputFormat.JPEG, output_lossless=True)
        )
