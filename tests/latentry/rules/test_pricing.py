"""What a request costs: megapixels times UNet calls times images, half without guidance."""

import pytest

from latentry.contracts import Sampler
from latentry.contracts.catalogue.models import Pace
from latentry.rules.pricing import price
from tests.latentry.ledger.factory import card, request

PACED = card().model_copy(
    update={"pace": Pace(step_megapixel_s=2.0, images_at_once=4, image_megapixel_s=10.0)}
)
LORA = {"id": "ink", "weight": -0.5, "text_encoder_weight": 1.0, "sha256": "1" * 64}
FILE = {"file": "file_1", "pixel_sha256": "1", "width": 8, "height": 8}
CONTROL = {"id": "lines", "image": FILE, "sha256": "2" * 64}
PROMPT = {"id": "ip", "weight": 0.5, "image": FILE, "sha256": "3" * 64}
OTHER = PROMPT | {"sha256": "4" * 64}
MEGAPIXELS = 128 * 128 / 1e6


def work(**fields: object) -> float:
    cost = price(request(num_inference_steps=10, **fields), card()).step_megapixels
    return round(cost / MEGAPIXELS, 3)


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({}, 10),
        ({"n": 3}, 30),
        ({"width": 256}, 20),
        ({"guidance_scale": 1.0}, 5),
        ({"guidance_stop": 0.5}, 7.5),
        ({"sampler": "heun"}, 19),
        ({"sampler": "pndm"}, 11),
        ({"image_guidance_scale": 1.5}, 15),
        ({"image_guidance_scale": 1.5, "guidance_stop": 0.5}, 10),
        ({"image_guidance_scale": 1.5, "guidance_scale": 1.0}, 5),
        ({"loras": [LORA]}, 12.5),
        ({"loras": [LORA, LORA], "guidance_scale": 1.0}, 7.5),
        ({"loras": [LORA | {"weight": 0.0}]}, 10),
        ({"controls": [CONTROL]}, 14),
        ({"controls": [CONTROL, CONTROL | {"end": 0.5}]}, 16),
        ({"controls": [CONTROL | {"mode": "guess"}]}, 12),
        ({"controls": [CONTROL], "guidance_scale": 1.0}, 7),
        ({"controls": [CONTROL | {"weight": 0.0}]}, 10),
        ({"image_prompts": [PROMPT]}, 10.5 + 0.1 / MEGAPIXELS),
        ({"image_prompts": [PROMPT] * 2, "guidance_scale": 1.0}, 5.25 + 0.2 / MEGAPIXELS),
        ({"image_prompts": [PROMPT, OTHER], "n": 2}, 22 + 0.4 / MEGAPIXELS),
        ({"image_prompts": [PROMPT | {"weight": 0.0}]}, 10),
        ({"denoise_end": 0.7}, 7),
        ({"denoise_end": 0.7, "sampler": "heun"}, 14),
        ({"denoise_end": 0.7, "sampler": "pndm"}, 8),
        ({"denoise_end": 0.7, "guidance_scale": 1.0, "n": 2}, 7),
        ({"denoise_end": 0.7, "intermediates": {"every": 3}}, 7 + 4),
        ({"intermediates": {"every": 3, "kinds": ["latent"]}}, 13),
        ({"intermediates": {"every": 3}, "n": 2}, 2 * 16),
        ({"intermediates": {"every": 1}, "guidance_scale": 1.0}, 5 + 20),
    ],
)
def test_cost_is_the_work_of_the_unet(fields, calls) -> None:
    assert work(**fields) == pytest.approx(calls, abs=0.001)


@pytest.mark.parametrize(
    ("fields", "calls"),
    [({}, 10), ({"sampler": "heun"}, 16 + 3), ({"guidance_scale": 1.0, "n": 2}, 10)],
)
def test_a_refiner_s_calls_are_its_image_s(fields, calls) -> None:
    assert work(refiner="refiner", **fields) == pytest.approx(calls, abs=0.001)


def test_each_model_s_calls_take_its_own_pace() -> None:
    asked = request(num_inference_steps=10, refiner="refiner", refiner_switch_at=0.6)
    slow = Pace(step_megapixel_s=5.0, images_at_once=1)
    refiner = card("refiner").model_copy(update={"pace": slow})
    measured, not_yet = price(asked, PACED, refiner), price(asked, PACED, card("refiner"))
    assert measured.cost_ms == round(1000 * MEGAPIXELS * (6 * 2.0 + 4 * 5.0 + 10.0))
    assert not_yet.cost_ms == round(1000 * MEGAPIXELS * (10 * 2.0 + 10.0))


def test_a_measured_pace_turns_cost_into_seconds() -> None:
    cost = price(request(num_inference_steps=10, n=6), PACED)
    assert cost.cost_ms == round(1000 * 6 * MEGAPIXELS * (10 * 2.0 + 10.0))
    assert cost.cost.worker_seconds == cost.cost_ms / 1000
    assert cost.takes_ms == pytest.approx(cost.cost_ms / 6 * 4 * 2, abs=1), "two rounds of four"


def test_an_intermediate_takes_as_long_as_any_picture_to_decode() -> None:
    plain, shown = (
        price(request(num_inference_steps=10, n=2, intermediates=wanted), PACED).cost_ms
        for wanted in (None, {"every": 5})
    )
    assert shown - plain == pytest.approx(1000 * 2 * MEGAPIXELS * 4 * 10.0, abs=1)


HIRES = {"width": 256, "height": 256, "steps": 10, "strength": 0.5}


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({}, 10 + 4 * 5),
        ({"n": 2}, 2 * (10 + 4 * 5)),
        ({"sampler": "heun"}, 19 + 4 * 9),
        ({"guidance_stop": 0.5}, 7.5 + 4 * 3.75),
        ({"hires": HIRES | {"upscaler": "lanczos"}}, 10 + 4 * 5 + 1 + 4),
        ({"intermediates": {"every": 5, "kinds": ["latent"]}}, 10 + 4 * 5 + 2 + 4),
    ],
)
def test_both_passes_are_paid_by_their_own_size(fields, calls) -> None:
    assert work(**({"hires": HIRES} | fields)) == pytest.approx(calls, abs=0.001)


def test_the_vae_s_ways_between_passes_take_as_long_as_pictures() -> None:
    latent, lanczos = (
        price(request(hires=HIRES | {"upscaler": upscaler}), PACED).cost_ms
        for upscaler in ("latent", "lanczos")
    )
    assert lanczos - latent == pytest.approx(1000 * MEGAPIXELS * (1 + 4) * 10.0, abs=1)


@pytest.mark.parametrize("sampler", Sampler)
def test_a_picture_without_steps_costs_as_much_as_one_call(sampler: Sampler) -> None:
    fields = {"num_inference_steps": 0, "sampler": sampler, "n": 2}
    assert price(request(**fields), card()).step_megapixels == round(2 * MEGAPIXELS, 6)
    assert price(request(**fields), PACED).cost_ms == round(1000 * 2 * MEGAPIXELS * 10.0)


def test_without_a_pace_costs_only_compare_requests() -> None:
    small, large = (price(request(n=n), card()) for n in (1, 4))
    assert small.cost.worker_seconds is None
    assert large.cost_ms == pytest.approx(4 * small.cost_ms, rel=0.02)
    assert (small.takes_ms, small.seats) == (0, 0)
