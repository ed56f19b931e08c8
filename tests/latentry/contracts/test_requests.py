"""What a request may say."""

import json

import pytest
from pydantic import ValidationError

from latentry.contracts import (
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    Extend,
    GenerationRequest,
    InterpolationRequest,
    Sampler,
    Template,
    UpscaleRequest,
    VerifyRequest,
    WantedControl,
    WantedEmbedding,
    WantedHires,
    WantedImagePrompt,
    WantedLora,
    WantedVae,
    Webhook,
)
from latentry.contracts.batches import Batch
from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS, MAX_SEED
from latentry.contracts.fields.intermediates import WantedIntermediates
from latentry.contracts.samplers import JOINED_ALIASES, SAMPLER_ALIASES, Spacing
from latentry.contracts.wire import RequestModel
from service.doors.automatic1111.requests.controls import ControlUnit
from service.doors.automatic1111.requests.detect import Detect
from service.doors.automatic1111.requests.extras import (
    AnyExtra,
    ExtraBatchImages,
    ExtraSingleImage,
    Interrogate,
    NamedPicture,
    PngInfo,
)
from service.doors.automatic1111.requests.generations import AnyGeneration, Img2Img, Txt2Img
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.routes.progress import TaskRequest
from service.doors.hugging_face.requests import InferenceRequest, Parameters, TargetSize
from service.doors.openai.fields import ImageReference
from service.doors.openai.requests import (
    AnyImagesRequest,
    EditRequest,
    ImagesRequest,
    VariationRequest,
)
from service.doors.own_fields import OwnFields
from service.doors.replicate.requests import (
    ModelInput,
    ModelPredictionRequest,
    PredictionRequest,
)
from tests.latentry.contracts.resolved import CHANGES

CONTROL = {"id": "a", "image": "file_1"}


def parse(**fields: object) -> GenerationRequest:
    return GenerationRequest.model_validate_json(json.dumps({"prompt": "a frog"} | fields))


def test_a_request_needs_only_a_prompt() -> None:
    assert parse().n == 1


@pytest.mark.parametrize(("alias", "sampler"), SAMPLER_ALIASES.items())
def test_the_names_other_programs_use_mean_our_samplers(alias: str, sampler: Sampler) -> None:
    assert parse(sampler=alias).sampler is sampler


@pytest.mark.parametrize(("alias", "both"), JOINED_ALIASES.items())
def test_a_name_for_sampler_and_spacing_at_once_means_both(alias: str, both: tuple) -> None:
    request = parse(sampler=alias)
    assert (request.sampler, request.spacing) == both
    assert parse(sampler=alias, spacing=both[1]) == request


def test_the_common_joined_names_are_known() -> None:
    assert JOINED_ALIASES["DPM++ 2M Karras"] == (Sampler.DPMPP_2M, Spacing.KARRAS)
    assert JOINED_ALIASES["DPM++ 2M SDE Exponential"] == (Sampler.DPMPP_2M_SDE, "exponential")
    assert parse(sampler="UniPC", spacing="SGM Uniform").spacing is Spacing.SGM_UNIFORM


def test_a_joined_name_may_repeat_the_spacing_by_any_of_its_names() -> None:
    for same in ("karras", "Karras"):
        assert parse(sampler="DPM++ 2M Karras", spacing=same).spacing is Spacing.KARRAS


@pytest.mark.parametrize("other", ["beta", "Beta", "default", ["karras"]])
def test_a_joined_name_that_contradicts_the_spacing_is_refused(other: object) -> None:
    with pytest.raises(ValidationError, match="implies another spacing than `spacing`"):
        parse(sampler="DPM++ 2M Karras", spacing=other)


@pytest.mark.parametrize(
    "fields",
    [
        {"widht": 128},
        {"width": "128"},
        {"width": 128.5},
        {"width": True},
        {"width": 130},
        {"width": 0},
        {"width": -128},
        {"width": 10**9},
        {"num_inference_steps": -1},
        {"num_inference_steps": 10**6},
        {"guidance_scale": float("nan")},
        {"guidance_scale": float("inf")},
        {"guidance_scale": "7"},
        {"guidance_scale": -1},
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"n": 0},
        {"n": 11},
        {"sampler": "Euler Z"},
        {"sampler": 3},
        {"sampler": "LCM Karras"},
        {"spacing": "polyexponential"},
        {"spacing": 3},
        {"guidance_rescale": 1.01},
        {"guidance_rescale": -0.1},
        {"output_format": "gif"},
        {"determinism": "maybe"},
        {"prompt_syntax": "natural"},
        {"clip_skip": 0},
        {"clip_skip": 13},
        {"clip_skip": 1.5},
        {"original_size": 512},
        {"original_size": [512]},
        {"original_size": [0, 512]},
        {"target_size": [512, 512.5]},
        {"crops_coords_top_left": [-1, 0]},
        {"prompt": None},
        {"prompt": "x" * (MAX_PROMPT_CHARS + 1)},
        {"prompt": "a\0b"},
        {"model": "../etc/passwd"},
        {"model": "Model.ckpt"},
        {"image": "http://example.com/a.png"},
        {"image": "a.png"},
        {"image": ["file_1"]},
        {"strength": 0},
        {"refiner": "a b"},
        {"refiner": ["xl-refiner"]},
        {"refiner_switch_at": 0.0},
        {"refiner_switch_at": 1.0},
        {"refiner_switch_at": "0.8"},
        {"image_guidance_scale": 0.9},
        {"image_guidance_scale": 1_000.0},
        {"image_guidance_scale": "1.5"},
        {"denoise_start": 1.0},
        {"denoise_start": -0.1},
        {"denoise_start": "0.5"},
        {"denoise_end": 0.0},
        {"denoise_end": 1.1},
        {"denoise_end": float("nan")},
        {"strength": 1.5},
        {"strength": "0.5"},
        {"resize_mode": "tile"},
        {"mask_blur": -1},
        {"mask_blur": 10_000},
        {"mask_fill": "random"},
        {"inpaint_area": "half"},
        {"extend": {"left": 9}},
        {"extend": {"left": -8}},
        {"extend": {"inside": 8}},
        {"styles": "night"},
        {"styles": [""]},
        {"styles": ["night"] * 17},
        {"styles": ["a\nb"]},
        {"template": {"styles": ["night"]}},
        {"seamless": "z"},
        {"seamless": True},
        {"hires": {}},
        {"hires": {"scale": 1.0}},
        {"hires": {"scale": 4.1}},
        {"hires": {"scale": "2"}},
        {"hires": {"width": 128}},
        {"hires": {"scale": 2.0, "width": 128, "height": 128}},
        {"hires": {"width": 132, "height": 128}},
        {"hires": {"scale": 2.0, "steps": 0}},
        {"hires": {"scale": 2.0, "strength": 0.0}},
        {"hires": {"scale": 2.0, "strength": 1.1}},
        {"hires": {"scale": 2.0, "upscaler": "esrgan"}},
        {"hires": {"scale": 2.0, "sampler": "ddim"}},
        {"loras": ["ink"]},
        {"loras": [{}]},
        {"loras": [{"id": "a:b"}]},
        {"loras": [{"id": " a"}]},
        {"loras": [{"id": "a>"}]},
        {"loras": [{"id": ""}]},
        {"loras": [{"id": "x" * 129}]},
        {"loras": [{"id": "a", "weight": 10.1}]},
        {"loras": [{"id": "a", "weight": "1"}]},
        {"loras": [{"id": "a", "text_encoder_weight": -11}]},
        {"loras": [{"id": "a", "scale": 1.0}]},
        {"loras": [{"id": "a", "sha256": "x"}]},
        {"loras": [{"id": "a"}] * 17},
        {"controls": [{"id": "a"}]},
        {"controls": [{"image": "file_1"}]},
        {"controls": [{"id": "a", "image": "picture.png"}]},
        {"controls": [{"id": "a", "image": "http://a.example/b.png"}]},
        {"controls": [CONTROL | {"weight": -0.1}]},
        {"controls": [CONTROL | {"weight": 2.1}]},
        {"controls": [CONTROL | {"start": 0.5, "end": 0.5}]},
        {"controls": [CONTROL | {"start": 1.0}]},
        {"controls": [CONTROL | {"end": 1.1}]},
        {"controls": [CONTROL | {"preprocess": "depth"}]},
        {"controls": [CONTROL | {"mode": 1}]},
        {"controls": [CONTROL | {"thresholds": [100]}]},
        {"controls": [CONTROL | {"thresholds": [200, 100]}]},
        {"controls": [CONTROL | {"thresholds": [0, 100]}]},
        {"controls": [CONTROL | {"resize_mode": "tile"}]},
        {"controls": [CONTROL | {"sha256": "x"}]},
        {"controls": [CONTROL] * 5},
        {"image_prompts": [{"id": "ip"}]},
        {"image_prompts": [{"image": "file_1"}]},
        {"image_prompts": [{"id": "ip", "image": "http://a.example/b.png"}]},
        {"image_prompts": [{"id": "ip", "image": None}]},
        {"image_prompts": [{"id": "ip", "image": "file_1", "weight": 11}]},
        {"image_prompts": [{"id": "ip", "image": "file_1", "weight_type": "linear"}]},
        {"image_prompts": [{"id": "ip", "image": "file_1"}] * 9},
        {"output_quality": 0},
        {"output_quality": 101},
        {"output_quality": "90"},
        {"output_lossless": 1},
        {"metadata": {"a": 1}},
        {"metadata": {str(k): "" for k in range(17)}},
        {"metadata": {"": "x"}},
    ],
)
def test_invalid_requests_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse(**fields)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    request = parse(
        width=128.0,
        num_inference_steps=12.0,
        seed=2.0**53 - 1,
        original_size=[512.0, 768.0],
        hires={"scale": 2.0, "steps": 9.0},
    )
    assert (request.width, request.num_inference_steps, request.seed) == (128, 12, MAX_SEED)
    assert request.original_size == (512, 768)
    assert request.hires is not None
    assert type(request.hires.steps) is int
    assert parse(width=128.0).model_dump_json() == parse(width=128).model_dump_json()


def test_an_input_of_an_answer_can_be_sent_again() -> None:
    again = {"file": "file_1", "pixel_sha256": "1", "width": 8, "height": 8}
    assert parse(image=again).image == "file_1"
    for other in ({"file": 1}, {"url": "https://a.example/b.png"}, {}):
        with pytest.raises(ValidationError):
            parse(image=other)


def test_a_control_of_an_answer_can_be_sent_again() -> None:
    [control] = CHANGES["controls"]
    [again] = parse(controls=[control.model_dump(mode="json")]).controls
    assert (again.image, again.sha256, again.weight) == ("file_3", "6" * 64, 0.5)


def subclasses(model: type[RequestModel]) -> list[type[RequestModel]]:
    return [each for one in model.__subclasses__() for each in (one, *subclasses(one))]


def names(model: type[RequestModel]) -> list[str]:
    """Of its fields, as bodies have them."""
    return [field.alias or name for name, field in model.model_fields.items()]


# Bodies with their required fields, for all that clients send.
BODIES = {
    GenerationRequest: {"prompt": "a frog"},
    Template: {"prompt": "a {red|blue} frog"},
    Webhook: {"url": "https://example.com/hook"},
    WantedIntermediates: {"every": 5},
    Extend: {},
    WantedHires: {"scale": 2.0},
    WantedLora: {"id": "ink"},
    WantedVae: {"id": "glass"},
    WantedControl: {"id": "lines", "image": "file_1"},
    Batch: {"requests": [{"prompt": "a frog"}]},
    WantedImagePrompt: {"id": "ip", "image": "file_1"},
    OwnFields: {},
    AnyImagesRequest: {"prompt": "a frog"},
    WantedEmbedding: {"id": "Easy Negative"},
    ImagesRequest: {"prompt": "a frog"},
    EditRequest: {"prompt": "a frog", "images": [{"file_id": "file_1"}]},
    VariationRequest: {"image": ["file_1"]},
    ImageReference: {"image_url": "https://pictures.example/a.png"},
    InterpolationRequest: {"from": {"prompt": "a"}, "to": {"prompt": "b"}, "frames": 2},
    UpscaleRequest: {"image": "file_1"},
    ControlRequest: {"image": "file_1"},
    CaptionRequest: {"image": "file_1"},
    Detect: {},
    ClipRequest: {"prompt": "a frog"},
    VerifyRequest: {"image": "file_1"},
    AnyGeneration: {},
    Txt2Img: {},
    Img2Img: {},
    ControlUnit: {},
    Options: {},
    AnyExtra: {},
    ExtraSingleImage: {"image": "file_1"},
    ExtraBatchImages: {"imageList": [{"data": "file_1"}]},
    NamedPicture: {"data": "file_1"},
    PngInfo: {"image": "file_1"},
    Interrogate: {},
    TaskRequest: {},
    InferenceRequest: {"inputs": "a frog"},
    Parameters: {},
    TargetSize: {},
    PredictionRequest: {"input": {"prompt": "a frog"}},
    ModelPredictionRequest: {"input": {"prompt": "a frog"}},
    ModelInput: {},
}


def test_all_bodies_that_clients_send_are_tested_with_nulls() -> None:
    assert set(subclasses(RequestModel)) == BODIES.keys()


@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model in BODIES for name in names(model)]
)
def test_null_means_left_out_for_every_optional_field_and_for_no_other(model, name) -> None:
    body = BODIES[model] | {name: None}
    if name in BODIES[model]:
        with pytest.raises(ValidationError):
            model.model_validate_json(json.dumps(body))
    else:
        omitted = model.model_validate(BODIES[model])
        assert model.model_validate_json(json.dumps(body)) == omitted
        assert {"type": "null"} in model.model_json_schema()["properties"][name]["anyOf"]


def test_nulls_elsewhere_are_refused() -> None:
    for fields in ({"metadata": {"a": None}}, {"unheard_of": None}, {"original_size": [64, None]}):
        with pytest.raises(ValidationError):
            parse(**fields)


def test_a_null_in_an_inner_body_is_left_out_too() -> None:
    hook = BODIES[Webhook]
    assert parse(webhook=hook | {"events": None}) == parse(webhook=hook)


def test_contracts_are_immutable() -> None:
    request = parse()
    with pytest.raises(ValidationError):
        request.prompt = "a rabbit"  # type: ignore[misc]
    assert all(c.model_config["frozen"] for c in subclasses(RequestModel))
