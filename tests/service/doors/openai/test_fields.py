"""Each field of OpenAI's does what the page says; and each that its client knows is there."""

from typing import Any, get_type_hints

import openai.types as theirs
import pytest
from openai.types import image_create_variation_params, image_edit_params, image_generate_params

from latentry.contracts import GenerationRequest
from service.doors.fates import Fate, fate_of
from service.doors.openai.requests import EditRequest, ImagesRequest, VariationRequest
from service.doors.openai.translation import ignored
from tests.hostile.pictures import encoded
from tests.service.doors.openai.test_edits import data_url
from tools.pages.openai_fields import PAGE, ROUTES, openai_fields, section

PHOTO = data_url(encoded("PNG", size=(128, 128)))
REQUIRED: dict[type, dict[str, Any]] = {
    ImagesRequest: {"prompt": "a"},
    EditRequest: {"prompt": "a", "images": [{"image_url": PHOTO}]},
    VariationRequest: {"image": [{"image_url": PHOTO}]},
}
# What a field that is refused may be sent as, where a word will not do.
VALUES: dict[str, Any] = {"background": "transparent", "markup": {"file_id": "file_1"}}
EVERY = [(route, name) for route, model in ROUTES.items() for name in openai_fields(model)]


@pytest.mark.parametrize(
    ("params", "model"),
    [
        (image_generate_params.ImageGenerateParamsBase, ImagesRequest),
        (image_edit_params.ImageEditParamsBase, EditRequest),
        (image_create_variation_params.ImageCreateVariationParams, VariationRequest),
    ],
)
def test_every_field_that_openais_client_knows_has_its_fate(params, model) -> None:
    known = get_type_hints(params, vars(theirs)).keys()
    assert known <= openai_fields(model).keys()


def test_the_page_is_what_the_program_writes() -> None:
    page = PAGE.path.read_text()
    assert page == PAGE.with_section(page, section()), f"run `python -m {PAGE.program}`"
    assert section() in page


@pytest.mark.parametrize(("route", "name"), EVERY)
def test_a_field_has_the_fate_that_the_page_says(route: str, name: str) -> None:
    model = ROUTES[route]
    here = fate_of(model.model_fields[name])
    if here.fate is Fate.IGNORED:
        assert ignored(model.model_validate(REQUIRED[model] | {name: "low"})) == name
        for harmless in here.unless:
            assert not ignored(model.model_validate(REQUIRED[model] | {name: harmless}))
    assert f"| `{name}` |" in section()


@pytest.mark.parametrize(
    ("route", "name"),
    [
        (route, name)
        for route, name in EVERY
        if fate_of(ROUTES[route].model_fields[name]).fate is Fate.REFUSED and route != "variations"
    ],
)
async def test_a_refused_field_is_refused_by_name(client, worker, route: str, name: str) -> None:
    body = REQUIRED[ROUTES[route]] | {name: VALUES.get(name, 4)}
    answer = await client.post(f"/v1/images/{route}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, name, "unsupported_field")


@pytest.mark.parametrize(
    "name", sorted(GenerationRequest.model_fields.keys() - ImagesRequest.model_fields.keys())
)
async def test_our_fields_that_have_no_effect_are_refused(client, worker, name: str) -> None:
    answer = await client.post("/v1/images/generations", json={"prompt": "a", name: 5})
    expected = "size" if name in ("width", "height") else name
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, expected)


@pytest.mark.parametrize(
    ("quality", "steps"),
    [
        *(("auto", 25), ("low", 12), ("medium", 25), ("standard", 25)),
        *(("high", 38), ("hd", 38), ("xhigh", 50), ("max", 75)),
    ],
)
async def test_quality_is_a_number_of_steps(client, worker, made, quality, steps) -> None:
    body = {"prompt": "a", "quality": quality}
    with worker:
        answer = await client.post("/v1/images/generations", json=body)
        assert made().num_inference_steps == steps
        plain = await client.post("/v1/images/generations", json=body | {"num_inference_steps": 3})
    assert "X-Ignored-Fields" not in answer.headers
    assert made().num_inference_steps == 3
    assert plain.headers["X-Ignored-Fields"] == "quality"


async def test_what_a_client_waits_with_is_obeyed(client, worker, made, jobs) -> None:
    own = {"priority": "high", "start_within": 60, "metadata": {"a": "b"}, "user": "u1"}
    with worker:
        await client.post("/v1/images/generations", json={"prompt": "a"} | own)
    assert jobs()[0].priority == "high"
    assert made().metadata == {"a": "b", "user": "u1"}


async def test_a_generation_may_start_from_a_picture_as_ours_may(client, worker, made) -> None:
    with worker:
        answer = await client.post(
            "/v1/images/generations", json={"prompt": "a", "image": PHOTO, "strength": 0.4}
        )
    assert answer.status_code == 200, answer.text
    assert (made().strength, made().resize_mode) == (0.4, "stretch")
