"""Inference endpoints: what a body means, the bytes of the answer, errors, whose files they are."""

import base64
import json
from typing import Any

import httpx
import pytest

from latentry.contracts import OutputFormat
from latentry.errors import EngineError, InvalidRequest, NotAcceptable, UnsupportedField
from latentry.ledger import commands
from latentry.settings import Settings
from service.doors.hugging_face.formats import accepted_format
from service.doors.hugging_face.requests import InferenceRequest
from service.doors.hugging_face.translation import generation_request, ignored
from tests.hostile.pictures import encoded
from tests.service.fake import PICTURE, FakeWorker
from tests.service.hanging_up import hang_up
from tests.service.keys import bearer, issue

PATH = "/hf/shapes"
PHOTO = encoded("PNG", size=(128, 128))
BASE64 = base64.b64encode(PHOTO).decode()
FILE = "file_" + "0" * 32


def asked(inputs: str = "a", **parameters: Any) -> InferenceRequest:
    return InferenceRequest.model_validate({"inputs": inputs, "parameters": parameters})


def own(body: InferenceRequest) -> Any:
    return generation_request(body, "shapes", OutputFormat.PNG)


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        (asked("a hat"), "prompt", "a hat"),
        (asked("a hat", negative_prompt="b"), "negative_prompt", "b"),
        (asked(width=128, height=96), "height", 96),
        (asked(target_size={"width": 128, "height": 96}), "width", 128),
        (asked(num_inference_steps=3, guidance_scale=2, seed=4), "seed", 4),
        (asked(scheduler="EulerDiscreteScheduler"), "sampler", "euler"),
        (asked(sampler="DPM++ 2M Karras"), "spacing", "karras"),
        (asked(num_images_per_prompt=1), "n", 1),
        (asked(output_format="webp"), "output_format", "webp"),
        (asked(image=FILE, strength=0.4), "strength", 0.4),
        (asked(FILE, prompt="a hat"), "prompt", "a hat"),
        (asked(FILE, prompt="a hat"), "image", FILE),
        (asked(BASE64, prompt="a hat"), "prompt", "a hat"),
        (asked(BASE64, strength=0.5), "image", f"data:application/octet-stream;base64,{BASE64}"),
        (asked(f"data:image/png;base64,{BASE64}", prompt=""), "prompt", ""),
        (asked("iVBORw0KGgo is how a PNG begins"), "prompt", "iVBORw0KGgo is how a PNG begins"),
    ],
)
def test_a_body_becomes_ours(body: InferenceRequest, name: str, value: Any) -> None:
    assert getattr(own(body), name) == value


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (asked(num_images_per_prompt=2), "num_images_per_prompt"),
        (asked(sampler="ddim", scheduler="DDIM"), "scheduler"),
        (asked(target_size={"width": 128, "height": 128}, width=128), "target_size"),
        (asked(BASE64, prompt="a", image=FILE), "image"),
        (asked(dry_run=True), "dry_run"),
        (asked(n=2), "n"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(body: InferenceRequest, field: str) -> None:
    with pytest.raises(UnsupportedField) as refused:
        own(body)
    assert list(refused.value.fields) == [f"/parameters/{field}"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (asked(scheduler="x"), "/parameters/scheduler"),
        (asked("a" * 9_000), "/inputs"),
        (asked(strength=0.5, mask=FILE), None),
    ],
)
def test_what_is_wrong_has_the_place_that_was_sent(body: InferenceRequest, place) -> None:
    if place is None:  # what depends on the model is refused later
        assert own(body).mask == FILE
        return
    with pytest.raises(InvalidRequest) as refused:
        own(body)
    assert list(refused.value.fields) == [place]


def test_what_is_ignored_is_named() -> None:
    body = InferenceRequest.model_validate(
        {"inputs": "a", "options": {"use_cache": False}, "x": 1, "parameters": {"y": 2, "z": None}}
    )
    assert ignored(body) == "options, x, parameters.y"
    assert ignored(asked()) == ""


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "png"),
        ("*/*", "png"),
        ("image/*", "png"),
        ("image/png", "png"),
        ("image/jpeg", "jpeg"),
        ("image/avif,image/webp;q=0.9,*/*", "webp"),
        ("image/png;q=0, image/jpeg", "jpeg"),
    ],
)
def test_accept_names_the_format(accept: str, form: str) -> None:
    assert accepted_format(accept) == form


@pytest.mark.parametrize("accept", ["application/json", "text/html", "image/png;q=0"])
def test_another_answer_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        accepted_format(accept)


async def test_the_answer_is_the_image(client, worker: FakeWorker, jobs) -> None:
    body = {"inputs": "a", "parameters": {"seed": 5, "y": 1}}
    with worker:
        answer = await client.post(PATH, json=body, headers={"Accept": "image/webp"})
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/webp"
    assert (answer.headers["x-seed"], answer.headers["x-job-id"]) == ("5", jobs()[0].ref.id)
    assert answer.headers["x-ignored-fields"] == "parameters.y"


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", None])
async def test_a_picture_alone_is_image_to_image(client, worker, made, content_type) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    with worker:
        answer = await client.post(PATH, content=PHOTO, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (made().image.width, made().prompt, made().strength) == (128, "", 0.8)


async def test_large_base64_is_a_picture_and_no_large_text(client, worker, made) -> None:
    large = base64.b64encode(PHOTO + bytes(600 * 1024)).decode()
    with worker:
        answer = await client.post(PATH, json={"inputs": large, "parameters": {"prompt": "a"}})
    assert answer.status_code == 200, answer.text
    assert made().image.width == 128
    refused = await client.post(PATH, json={"inputs": "a b " * 100_000})
    assert (refused.status_code, refused.json()["error_type"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (PATH, {}, 422, "invalid_request"),
        (PATH, {"inputs": ""}, 422, "invalid_request"),
        (PATH, {"inputs": "a", "parameters": {"width": 1024}}, 422, "unsupported_size"),
        (PATH, {"inputs": "x!", "parameters": {"prompt": "a"}}, 422, "broken_image"),
        ("/hf/sdxl", {"inputs": "a"}, 404, "unknown_model"),
        ("/hf/Shapes", {"inputs": "a"}, 404, "unknown_model"),
        ("/hf/shapes/nowhere", {"inputs": "a"}, 404, "not_found"),
    ],
)
async def test_errors_are_hugging_faces(client, worker, path, body, status, code) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert (answer.json()["error_type"], answer.headers["content-type"]) == (
        code, "application/json"
    )  # fmt: skip
    assert isinstance(answer.json()["error"], str)


async def test_a_failed_job_is_an_error(client, worker: FakeWorker) -> None:
    worker.fails_with = EngineError()
    with worker:
        answer = await client.post(PATH, json={"inputs": "a"})
    assert (answer.status_code, answer.json()["error_type"]) == (502, "engine_error")


async def test_no_answer_is_503_as_their_npm_client_repeats_that_for_ever(client, ledger) -> None:
    answer = await client.post(PATH, json={"inputs": "a"})
    assert (answer.status_code, answer.json()["error_type"]) == (504, "no_model")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_repeat_gets_its_image_though_the_model_is_gone(client, worker, ledger) -> None:
    headers = {"Idempotency-Key": "order-1"}
    with worker:
        first = await client.post(PATH, json={"inputs": "a"}, headers=headers)
    ledger.run(commands.withdraw_model("fake", "shapes"))
    again = await client.post(PATH, json={"inputs": "a"}, headers=headers)
    assert again.content == first.content == PICTURE
    assert again.headers["x-job-id"] == first.headers["x-job-id"]


async def test_its_health_is_that_of_its_workers(client, worker) -> None:
    assert (await client.get(f"{PATH}/health")).status_code == 200
    assert (await client.get(f"{PATH}/info")).json()["model_id"] == "shapes"
    assert (await client.get("/hf/sdxl/health")).status_code == 404


def test_a_client_that_hangs_up_cancels_its_job_unless_it_has_a_key(
    url: str, worker: FakeWorker, jobs
) -> None:
    for count, headers in enumerate(({}, {"Idempotency-Key": "order-1"}), 1):
        hang_up(
            f"{url}{PATH}",
            once=lambda count=count: len(jobs()) == count,
            json={"inputs": "a"},
            headers=headers,
        )
    while jobs()[1].state != "canceled":
        pass
    assert jobs()[0].state == "queued"
    with worker:
        answer = httpx.post(f"{url}{PATH}", json={"inputs": "a"}, headers=headers)
    assert answer.content == PICTURE
    assert len(jobs()) == 2


async def test_a_key_is_needed_and_anothers_file_does_not_exist(client, worker, ledger) -> None:
    acme, other = (bearer(issue(ledger, tenant)) for tenant in ("acme", "other"))
    assert (await client.post(PATH, json={"inputs": "a"})).status_code == 401
    png = {"Content-Type": "image/png"}
    theirs = (await client.post("/v1/files", content=PHOTO, headers=acme | png)).json()["id"]
    answers = []
    for id in (theirs, FILE):
        body = json.dumps({"inputs": id, "parameters": {"prompt": "a"}})
        headers = other | {"Content-Type": "application/json", "X-Request-Id": "same"}
        answer = await client.post(PATH, content=body, headers=headers)
        answers.append((answer.status_code, answer.text.replace(id, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 422


async def test_bodies_are_bounded(client, worker, settings: Settings) -> None:
    body = {"inputs": "A" * settings.max_input_body_bytes}
    answer = await client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["error_type"]) == (413, "body_too_large")
