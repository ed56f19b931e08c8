"""What a request that brings a picture may ask, and what it costs."""

from typing import Any

import pytest

from latentry.contracts import Extend, InputFile, ResolvedRequest, Sampler
from latentry.errors import InvalidRequest
from latentry.rules.limits import refuse_unsupported
from latentry.rules.pricing import made_steps, price, skipped_steps, unet_calls
from tests.latentry.ledger.factory import card, request

FILE = InputFile(file="file_1", pixel_sha256="1", width=8, height=8)
CARD = card()
BLIND = CARD.model_copy(update={"limits": CARD.limits.model_copy(update={"images": False})})


def from_the(start: float, **changes: Any) -> dict[str, Any]:
    return {"strength": None, "denoise_start": start} | changes


def asked(**changes: Any) -> ResolvedRequest:
    return request(**({"image": FILE, "strength": 0.5, "width": 128, "height": 128} | changes))


@pytest.mark.parametrize(
    ("steps", "strength", "skipped"),
    [(25, 0.5, 13), (10, 1.0, 0), (10, 0.1, 9), (50, 0.8, 10), (7, 0.99, 1)],
)
def test_steps_are_skipped_as_diffusers_rounds(steps: int, strength: float, skipped: int) -> None:
    assert skipped_steps(asked(num_inference_steps=steps, strength=strength)) == skipped


@pytest.mark.parametrize(
    ("steps", "start", "skipped"),
    [(25, 0.5, 12), (10, 0.2, 2), (100, 0.29, 29), (7, 0.99, 6), (3, 0.3, 0)],
)
def test_a_start_skips_that_fraction_of_the_steps(steps: int, start: float, skipped: int) -> None:
    assert skipped_steps(asked(num_inference_steps=steps, **from_the(start))) == skipped


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"image": None, "strength": None, "denoise_end": 0.8}, range(1, 9)),
        ({"image": None, "strength": None, "denoise_end": 0.29}, range(1, 3)),
        ({"strength": 0.5, "denoise_end": 0.8}, range(6, 9)),
        (from_the(0.3, denoise_end=0.7), range(4, 8)),
        (from_the(0.3), range(4, 11)),
    ],
)
def test_made_are_the_steps_between_start_and_end(changes: dict[str, Any], made: range) -> None:
    request = asked(num_inference_steps=10, **changes)
    refuse_unsupported(CARD, request)
    assert made_steps(request) == made
    assert request.total_steps == made.stop - 1


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"denoise_start": 0.5}, "/denoise_start"),
        (from_the(0.5, image=None), "/denoise_start"),
        (from_the(0.5, denoise_end=0.5), "/denoise_end"),
        (from_the(0.55, denoise_end=0.59), "/num_inference_steps"),
        ({"image": None, "strength": None, "denoise_end": 0.05}, "/denoise_end"),
        ({"strength": 0.1, "denoise_end": 0.9}, "/denoise_end"),
        (
            {"image": None, "strength": None, "denoise_end": 0.5, "num_inference_steps": 0},
            "/denoise_end",
        ),
        (
            {"denoise_end": 0.5, "hires": {"width": 192, "height": 192, "steps": 4, "strength": 1}},
            "/denoise_end",
        ),
        ({"image": None, "strength": None, "mask": FILE}, "/mask"),
        ({"image": None}, "/strength"),
        ({"image": None, "strength": None, "extend": Extend(left=8)}, "/extend"),
        ({"strength": 0.05, "num_inference_steps": 10}, "/strength"),
        ({"image": None, "strength": None, "resize_mode": "crop"}, "/resize_mode"),
        ({"image": None, "strength": None, "mask_blur": 3}, "/mask_blur"),
        ({"mask_fill": "noise"}, "/mask_fill"),
        ({"mask_channel": "alpha"}, "/mask_channel"),
        ({"extend": Extend(left=8), "mask_channel": "alpha"}, "/mask_channel"),
        ({"preview_size": 512}, "/preview_size"),
        ({"inpaint_area": "masked"}, "/inpaint_area"),
        ({"mask": FILE, "mask_padding": 3}, "/mask_padding"),
        ({"extend": Extend(left=8), "mask_blur": 3}, "/mask_blur"),
        ({"mask": FILE, "inpaint_area": "masked", "seamless": "x"}, "/seamless"),
        ({"extend": Extend(left=8), "seamless": "x"}, "/seamless"),
        ({"extend": Extend()}, "/extend"),
        ({"extend": Extend(left=64, right=64)}, "/extend"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        refuse_unsupported(CARD, asked(**changes))
    assert pointer in refused.value.fields


def test_a_model_without_an_encoder_refuses_pictures() -> None:
    with pytest.raises(InvalidRequest, match="does not start from pictures"):
        refuse_unsupported(BLIND, asked())
    refuse_unsupported(CARD, asked())


@pytest.mark.parametrize("sampler", Sampler)
def test_the_price_is_of_the_steps_that_are_made(sampler: Sampler) -> None:
    whole, part = (
        price(asked(sampler=sampler, num_inference_steps=8, strength=one), CARD).step_megapixels
        for one in (1.0, 0.5)
    )
    calls = [unet_calls(sampler, 8, skipped) for skipped in (0, 4)]
    encoded = 128 * 128 / 1e6
    assert (part - encoded) / (whole - encoded) == pytest.approx(calls[1] / calls[0])


def test_a_picture_that_the_drawn_one_is_pasted_into_is_paid_by_its_size() -> None:
    large = InputFile(file="file_1", pixel_sha256="1", width=4096, height=4096)
    small, big = (
        price(asked(image=one, mask=FILE, inpaint_area="masked"), CARD).step_megapixels
        for one in (FILE, large)
    )
    assert big - small == pytest.approx(4096**2 / 1e6 - 128**2 / 1e6)
