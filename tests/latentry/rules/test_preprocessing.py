"""Controls: sizes, calls, prices and what is refused."""

import pytest

from latentry.contracts import InputFile, OutputFormat, PreprocessorsCard, ResolvedControl
from latentry.contracts.catalogue.models import Pace
from latentry.errors import ImageTooLarge, UnsupportedField
from latentry.rules.preprocessing import (
    control_calls,
    price_control,
    refuse_impossible_control,
    sized,
)

CARD = PreprocessorsCard(preprocessors=("canny",))


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


def test_edges_take_a_call_for_each_strip_and_one_before_and_after() -> None:
    small = control(64, 32, of=(64, 32))
    assert control_calls(small) == [(32, 64), (32, 64), (32, 64)]
    assert control_calls(small.model_copy(update={"preprocess": "invert"})) == [(32, 64)]
    calls = control_calls(control(1024, 1024))
    assert (len(calls), calls[0], calls[-1]) == (6, (1024, 1024), (1024, 1024))
    assert sum(height for height, _ in calls[1:-1]) == 1024


def test_the_price_is_of_all_calls_at_the_measured_pace() -> None:
    paced = CARD.model_copy(update={"pace": Pace(step_megapixel_s=0.5, images_at_once=1)})
    priced = price_control(control(1000, 1000), paced)
    assert (priced.step_megapixels, priced.cost_ms, priced.seats) == (3.0, 600, 1)
    assert price_control(control(1000, 1000, preprocess="none"), paced).cost_ms == 50


def test_a_picture_that_becomes_small_costs_what_reading_it_does() -> None:
    """Else the largest ones would be worth nothing in quotas, and in turns."""
    large = {"of": (4096, 4096), "preprocess": "none"}
    assert control_calls(control(1, 1, **large)) == [(4096, 4096)]
    assert price_control(control(1, 1, **large), CARD).cost_ms == 1_678
    assert control_calls(control(1, 1, of=(8, 8))) == [(8, 8), (1, 1), (1, 1)]


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
