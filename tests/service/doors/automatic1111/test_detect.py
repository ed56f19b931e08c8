"""What ControlNets would be shown, by AUTOMATIC1111's extension's route."""

import base64

import pytest

from latentry.contracts import JobKind
from latentry.errors import OutOfMemory
from latentry.ledger import commands
from latentry.ledger.keyring import Allowance
from tests.service.fake import PICTURE
from tests.service.keys import bearer, issue

DETECT = "/controlnet/detect"


async def detect(client, worker, *photos: str, headers=None, **fields):
    named = {f"controlnet_{name}": value for name, value in fields.items()}
    with worker:
        return await client.post(
            DETECT, json={"controlnet_input_images": photos} | named, headers=headers
        )


async def test_pictures_are_preprocessed_a_job_each(
    client, worker, preprocessors, jobs, photo
) -> None:
    fields = {"module": "canny", "processor_res": 48, "threshold_a": 64, "threshold_b": 32}
    answer = await detect(client, worker, photo, photo, masks=[photo], **fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["info"] == "Success"
    assert [base64.b64decode(one) for one in answer.json()["images"]] == [PICTURE] * 2
    assert answer.headers["X-Ignored-Fields"] == "controlnet_masks"
    made = [job.request for job in jobs()]
    assert [one.kind for one in made] == [JobKind.CONTROL] * 2
    assert {one.final_size for one in made} == {(80, 48)}, "the shorter side of 160 × 96"
    assert {one.thresholds for one in made} == {(32, 64)}


@pytest.mark.parametrize(
    ("fields", "preprocess", "size", "thresholds"),
    [
        ({}, "none", (160, 96), (100, 200)),
        ({"module": "invert", "processor_res": 64}, "invert", (160, 96), (100, 200)),
        ({"module": "invert (from white bg & black line)"}, "invert", (160, 96), (100, 200)),
        ({"module": "canny"}, "canny", (853, 512), (100, 200)),
        ({"module": "Canny", "threshold_a": 0.2}, "canny", (853, 512), (100, 200)),
        ({"module": "canny", "threshold_b": 300}, "canny", (853, 512), (100, 300)),
    ],
)
async def test_what_is_left_out_is_the_extension_s(
    client, worker, preprocessors, jobs, photo, fields, preprocess, size, thresholds
) -> None:
    assert (await detect(client, worker, photo, **fields)).status_code == 200
    request = jobs()[0].request
    assert (request.preprocess, request.final_size) == (preprocess, size)
    assert request.thresholds == thresholds


async def test_webuiapi_s_name_for_pictures_is_known(client, worker, preprocessors, photo) -> None:
    with worker:
        answer = await client.post(DETECT, json={"controlnet_images": [photo]})
    assert (answer.status_code, len(answer.json()["images"])) == (200, 1)


async def test_a_repeat_with_its_key_is_the_same_job(
    client, worker, preprocessors, jobs, photo
) -> None:
    body = {"controlnet_input_images": [photo, photo]}
    headers = {"Idempotency-Key": "k"}
    with worker:
        first = await client.post(DETECT, json=body, headers=headers)
        again = await client.post(DETECT, json=body, headers=headers)
    assert first.json() == again.json()
    assert len(jobs()) == 2


@pytest.mark.parametrize(
    ("fields", "status", "error", "named"),
    [
        ({"module": "depth_midas"}, 422, "unsupported_field", "controlnet_module: "),
        ({"module": "ip-adapter-auto"}, 422, "unsupported_field", "controlnet_module: "),
        ({"input_images": []}, 422, "unsupported_field", "controlnet_input_images: "),
        ({"input_images": ["AAAA"]}, 422, "unsupported_image", "controlnet_input_images/0: "),
        (
            {"module": "canny", "input_images": ["https://pictures.example/a.png"]},
            *(422, "unsupported_field", "controlnet_processor_res: "),
        ),
        (
            {"module": "canny", "processor_res": 5000},
            *(422, "invalid_request", "controlnet_processor_res: "),
        ),
        (
            {"module": "canny", "processor_res": 4000},
            *(422, "image_too_large", "controlnet_processor_res: "),
        ),
        (
            {"module": "canny", "threshold_b": 5000},
            *(422, "invalid_request", "controlnet_threshold_a"),
        ),
        ({"processor_res": 10**400}, 422, "invalid_request", "controlnet_processor_res: "),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    client, worker, preprocessors, photo, jobs, fields, status, error, named
) -> None:
    answer = await detect(client, worker, photo, **fields)
    found = answer.json()
    assert (answer.status_code, found["error"]) == (status, error), found
    assert named in found["errors"]
    assert not [job for job in jobs() if job.state == "succeeded"]


async def test_one_that_fails_is_the_answer(client, worker, preprocessors, photo) -> None:
    worker.fails_with = OutOfMemory()
    answer = await detect(client, worker, photo, photo)
    assert (answer.status_code, answer.json()["error"]) == (502, "out_of_memory")


async def test_each_counts_against_the_key_s_rate(
    client, ledger, worker, preprocessors, photo
) -> None:
    headers = bearer(issue(ledger, "acme", allowance=Allowance(per_minute=1, burst=3)))
    assert (await client.get("/v1/models", headers=headers)).status_code == 200
    answer = await detect(client, worker, photo, photo, photo, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
    assert not ledger.run(commands.list_jobs("acme", below=None, limit=1))
