"""Admission: which requests may become jobs, with which defaults. Values in, values out."""

from typing import Any

import pytest

from latentry.contracts import (
    GenerationRequest,
    Hires,
    InputFile,
    ModelCard,
    Sampler,
    Spacing,
)
from latentry.contracts.fields.bounds import MAX_SEED
from latentry.errors import (
    InvalidRequest,
    NoModel,
    RequestTooExpensive,
    TooManySteps,
    UnknownModel,
    UnsupportedSpacing,
)
from latentry.ledger import CatalogueEntry
from latentry.settings import Settings
from service.http import prefer
from service.jobs.admission import RANDOM_SEEDS, Admitted, admit, choose, resolve
from tests.latentry.ledger.factory import card


def entry(model: str, workers: int = 0) -> CatalogueEntry:
    return CatalogueEntry(card(model), workers, waiting=0, oldest_ms=0)


RETIRED, LIVE = entry("alpha"), entry("beta", workers=1)


def test_a_named_model_is_taken_and_else_the_first_that_is_live() -> None:
    assert choose("alpha", [RETIRED, LIVE]) is RETIRED
    assert choose("", [RETIRED, LIVE]) is LIVE
    assert choose("", [RETIRED, entry("beta")]) is RETIRED


def test_a_model_that_is_not_there_is_unknown_and_no_model_at_all_is_our_fault() -> None:
    with pytest.raises(UnknownModel, match="no model “gamma”"):
        choose("gamma", [RETIRED, LIVE])
    with pytest.raises(UnknownModel, match="did you mean “alpha”"):
        choose("alhpa", [RETIRED, LIVE])
    with pytest.raises(NoModel):
        choose("gamma", [])


def test_given_fields_are_kept_and_missing_ones_come_from_the_card() -> None:
    said = GenerationRequest(prompt="a", width=160, seed=0, sampler="Euler", guidance_scale=0.0)
    resolved = resolve(said, card())
    assert (resolved.width, resolved.height) == (160, 128)
    assert (resolved.seed, resolved.sampler, resolved.guidance_scale) == (0, "euler", 0.0)
    assert resolved.num_inference_steps == 25


def test_the_models_spacing_holds_for_every_sampler_that_has_it() -> None:
    plain = card()
    spaced = plain.defaults.model_copy(update={"spacing": Spacing.KARRAS})
    karras = plain.model_copy(update={"defaults": spaced})

    def spacing(**said: str) -> Spacing:
        return resolve(GenerationRequest(prompt="a", **said), karras).spacing

    assert spacing(sampler="euler") is Spacing.KARRAS
    assert spacing(sampler="euler", spacing="default") is Spacing.DEFAULT
    assert spacing() is spacing(sampler="ddim") is Spacing.DEFAULT
    with pytest.raises(UnsupportedSpacing):
        spacing(sampler="ddim", spacing="karras")


def test_a_random_seed_is_fresh_and_fits_into_32_bits() -> None:
    seeds = {resolve(GenerationRequest(prompt="a"), card()).seed for _ in range(50)}
    assert len(seeds) > 45
    assert all(0 <= seed < RANDOM_SEEDS for seed in seeds)


def test_a_variation_seed_is_drawn_where_one_is_needed_and_bounded_like_seeds() -> None:
    plain = GenerationRequest(prompt="a", n=2, seed=MAX_SEED, variation_strength=0.1)
    seeds = {resolve(plain, card()).variation_seed for _ in range(20)}
    assert len(seeds) > 15
    assert None not in seeds
    given = plain.model_copy(update={"variation_seed": 5})
    assert resolve(given, card()).variation_seed == 5
    assert resolve(GenerationRequest(prompt="a"), card()).variation_seed is None
    off = GenerationRequest(prompt="a", seed=1, variation_seed=5, variation_strength=0.0)
    assert (resolve(off, card()).seed_of(3), resolve(off, card()).variation_seed_of(3)) == (4, None)
    with pytest.raises(InvalidRequest) as refused:
        resolve(GenerationRequest(prompt="a", variation_seed=5), card())
    assert set(refused.value.fields) == {"/variation_seed", "/variation_strength"}
    most = given.model_copy(update={"variation_seed": MAX_SEED})
    with pytest.raises(InvalidRequest) as refused:
        resolve(most, card())
    assert set(refused.value.fields) == {"/variation_seed"}


def test_a_strength_is_filled_in_unless_the_start_is_said() -> None:
    file = InputFile(file="file_1", pixel_sha256="1", width=128, height=128)

    def strength(**fields: Any) -> float | None:
        asked = GenerationRequest.model_validate({"prompt": "a", "image": "file_1"} | fields)
        return resolve(asked, card(), {"image": file}).strength

    assert strength() == strength(denoise_start=0.0) == 0.8
    assert strength(denoise_start=0.5) is None
    with pytest.raises(InvalidRequest) as refused:
        strength(denoise_start=0.5, strength=0.5)
    assert set(refused.value.fields) == {"/denoise_start", "/strength"}


def test_an_edit_has_a_scale_for_its_picture_and_no_strength() -> None:
    file = InputFile(file="file_1", pixel_sha256="1", width=128, height=128)
    plain, limits = card(), {"edits": True}
    editing = plain.model_copy(update={"limits": plain.limits.model_copy(update=limits)})
    asked = GenerationRequest(prompt="a", image="file_1")
    edit = resolve(asked, editing, {"image": file})
    assert (edit.image_guidance_scale, edit.strength) == (1.5, None)
    assert resolve(asked, plain, {"image": file}).image_guidance_scale is None
    given = asked.model_copy(update={"image_guidance_scale": 2.0})
    assert resolve(given, editing, {"image": file}).image_guidance_scale == 2.0
    for wanted, of, pointer in (
        (given, plain, "/image_guidance_scale"),
        (GenerationRequest(prompt="a"), editing, "/image"),
        (asked.model_copy(update={"strength": 0.5}), editing, "/strength"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            resolve(wanted, of, {"image": file} if wanted.image else {})
        assert set(refused.value.fields) == {pointer}


def test_a_refiner_changes_little_unless_told() -> None:
    file = InputFile(file="file_1", pixel_sha256="1", width=128, height=128)
    refiner = card().model_copy(
        update={"limits": card().limits.model_copy(update={"refines": True})}
    )
    asked = GenerationRequest(image="file_1")
    assert resolve(asked, refiner, {"image": file}).strength == 0.3
    with pytest.raises(InvalidRequest) as refused:
        resolve(GenerationRequest(prompt="a"), refiner)
    assert set(refused.value.fields) == {"/image"}


def test_a_refiner_of_the_catalogue_makes_the_last_steps_and_any_other_is_refused() -> None:
    def refined(refiner: ModelCard, **fields: Any) -> Admitted:
        entries = [CatalogueEntry(one, 1, 0, 0) for one in (card("base"), refiner)]
        asked = {"prompt": "a", "model": "base", "refiner": "refiner", "num_inference_steps": 10}
        return admit(GenerationRequest.model_validate(asked | fields), entries, Settings())

    def other(**limits: Any) -> ModelCard:
        plain = card("refiner")
        return plain.model_copy(update={"limits": plain.limits.model_copy(update=limits)})

    admitted = refined(other(refines=True))
    assert admitted.request.models == ("base", "refiner")
    assert admitted.request.refiner_switch_at == 0.8
    for refiner, fields in (
        (card("another"), {}),
        (other(edits=True), {}),
        (other(size_conditioning=True), {}),
        (other(max_side=96), {}),
        (other(max_steps=9), {}),
        (other(strict_rows=2), {"determinism": "strict", "prompt": "a AND b"}),
        (other(max_clip_skip=1), {"clip_skip": 2}),
        (card("refiner").model_copy(update={"samplers": [Sampler.LCM]}), {}),
    ):
        with pytest.raises(InvalidRequest) as refused:
            refined(refiner, **fields)
        assert set(refused.value.fields) == {"/refiner"}


def test_a_second_pass_is_filled_in_from_the_first() -> None:
    def hires(**wanted: object) -> Hires | None:
        asked = {"prompt": "a", "num_inference_steps": 20, "hires": wanted}
        return resolve(GenerationRequest.model_validate(asked), card()).hires

    assert hires(scale=1.5) == Hires(width=192, height=192, steps=20, strength=0.7)
    assert hires(scale=1.3) == Hires(width=160, height=160, steps=20, strength=0.7), "by 32"
    all_given = {"width": 160, "height": 192, "steps": 9, "strength": 0.5, "upscaler": "lanczos"}
    assert hires(**all_given) == Hires.model_validate(all_given)
    assert resolve(GenerationRequest(prompt="a"), card()).hires is None


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({"hires": {"scale": 2.0}}, {"/hires/width", "/hires/height"}),
        ({"hires": {"width": 160, "height": 168}}, {"/hires/height"}),
        ({"hires": {"scale": 1.1}}, {"/hires/width", "/hires/height"}),
        ({"hires": {"width": 96, "height": 160}}, {"/hires/width", "/hires/height"}),
        ({"hires": {"scale": 1.5, "steps": 101}}, {"/hires/steps"}),
        (
            {"hires": {"scale": 1.5, "steps": 3, "strength": 0.3}},
            {"/hires/strength", "/hires/steps"},
        ),
        ({"hires": {"scale": 1.5}, "num_inference_steps": 0}, {"/hires", "/num_inference_steps"}),
        ({"hires": {"scale": 1.5}, "image": "file_1", "mask": "file_2"}, {"/hires", "/mask"}),
        (
            {"hires": {"scale": 1.5}, "image": "file_1", "extend": {"left": 8}},
            {"/hires", "/extend"},
        ),
    ],
)
def test_a_second_pass_that_cannot_be_is_refused_by_name(
    fields: dict[str, Any], pointers: set[str]
) -> None:
    asked = GenerationRequest.model_validate({"prompt": "a"} | fields)
    file = InputFile(file="file_1", pixel_sha256="1", width=128, height=128)
    inputs = {name: file for name in ("image", "mask") if name in fields}
    with pytest.raises(InvalidRequest) as refused:
        resolve(asked, card(), inputs)
    assert set(refused.value.fields) == pointers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["respond-async"], None),
        (["wait=10"], 10),
        (['respond-async, WAIT="7"; x=y'], 7),
        (["return=minimal", "wait = 3"], 3),
        (["wait"], 60),
        (["wait=61"], 60),
        (["wait=" + "9" * 5_000], 60),
        (["wait=0"], 0),
        (["wait=-1", "wait=2"], 2),
        (["wait=1.5"], None),
        (["wait=٣"], None),
        ([",,=,;=;"], None),
    ],
)
def test_a_preference_is_read_as_rfc_7240_has_it(headers, seconds) -> None:
    assert prefer.wait_s(headers, max_s=60) == seconds


def test_a_sampler_that_takes_few_steps_is_not_sent_to_fail_in_the_engine() -> None:
    distilled = card().model_copy(update={"samplers": [Sampler.LCM]})
    wanted = {"prompt": "a", "sampler": "lcm"}
    assert resolve(GenerationRequest(**wanted, num_inference_steps=50), distilled)
    with pytest.raises(TooManySteps, match="sampler lcm supports at most 50") as caught:
        resolve(GenerationRequest(**wanted, num_inference_steps=51), distilled)
    assert list(caught.value.fields) == ["/num_inference_steps"]


def test_admission_answers_model_request_and_price_in_one_call() -> None:
    wanted = GenerationRequest(prompt="a", num_inference_steps=10, n=2, guidance_scale=1.0)
    settings = Settings(default_model="beta")
    admitted = admit(wanted, [RETIRED, LIVE], settings)
    assert admitted.entry is LIVE
    assert (admitted.request.model, admitted.request.num_inference_steps) == ("beta", 10)
    pixels = admitted.request.width * admitted.request.height
    assert admitted.price.images == 2
    assert admitted.price.step_megapixels == pytest.approx(2 * 10 * pixels / 1e6 / 2)
    named = wanted.model_copy(update={"model": "alpha"})
    assert admit(named, [RETIRED, LIVE], settings).entry is RETIRED
    little = settings.model_copy(update={"max_cost_step_megapixels": 0.01})
    with pytest.raises(RequestTooExpensive) as refused:
        admit(wanted, [LIVE], little)
    assert set(refused.value.fields) == {"/n", "/num_inference_steps", "/width", "/height"}
