"""What a request that brings a picture may ask, and what it costs."""

from typing import Any

import pytest

from latentry.contracts import Extend, InputFile, ResolvedRequest, Sampler
from latentry.errors import InvalidRequest
from latentry.rules.limits import refuse_unsupported
from latentry.rules.pricing import price, skipped_steps, unet_calls
from tests.latentry.ledger.factory import card, request

FILE = InputFile(file="file_1", pixel_sha256="1", width=8, height=8)
CARD = card()
BLIND = CARD.model_copy(update={"limits": CARD.limits.model_copy(update={"images": False})})


def asked(**changes: Any) -> ResolvedRequest:
    return request(**({"image": FILE, "strength": 0.5, "width": 128, "height": 128} | changes))


@pytest.mark.parametrize(
    ("steps", "strength", "skipped"),
    [(25, 0.5, 13), (10, 1.0, 0), (10, 0.1, 9), (50, 0.8, 10), (7, 0.99, 1)],
)
def test_steps_are_skipped_as_diffusers_rounds(steps: int, strength: float, skipped: int) -> None:
    assert skipped_steps(asked(num_inference_steps=steps, strength=strength)) == skipped


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"image": None, "strength": None, "mask": FILE}, "/mask"),
        ({"image": None}, "/strength"),
        ({"image": None, "strength": None, "extend": Extend(left=8)}, "/extend"),
        ({"strength": 0.05, "num_inference_steps": 10}, "/strength"),
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
    assert part / whole == pytest.approx(calls[1] / calls[0])
