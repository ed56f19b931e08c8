"""The extras, PNG info and interrogation."""

import base64
import io

import httpx
import pytest
from PIL import Image, PngImagePlugin

from latentry.api_keys import Scope
from latentry.contracts import CaptionerCard, JobKind, UpscalerCard
from latentry.errors import OutOfMemory
from latentry.ledger import commands
from latentry.ledger.keyring import Allowance
from service.doors.automatic1111 import several
from tests.service.fake import PICTURE
from tests.service.keys import bearer, issue

SINGLE, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"
PNG_INFO = "/sdapi/v1/png-info"
INFOTEXT = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, Size: 512x768, Seed: 1"


@pytest.fixture
def upscalers(worker) -> None:
    """A live worker of two upscalers."""
    worker.queues = ["upscaler/lanczos", "upscaler/4x-Tiny"]
    worker.ledger.run(commands.heartbeat("fake", worker.queues, ttl_s=60))
    for id in ("lanczos", "4x-Tiny"):
        card = UpscalerCard(id=id, architecture="x", scale=4, default_scale=2, created=0)
        worker.ledger.run(commands.register_model(card))


async def test_a_picture_is_enlarged_as_a_job(client, worker, upscalers, jobs, photo) -> None:
    body = {
        "image": photo,
        "upscaler_1": "Lanczos",
        "upscaling_resize": 3,
        "codeformer_weight": 0.5,
    }
    with worker:
        answer = await client.post(SINGLE, json=body)
    assert answer.status_code == 200, answer.text
    assert base64.b64decode(answer.json()["image"]) == PICTURE
    assert answer.json()["html_info"] == "<p>Postprocess upscale by: 3, upscaler: lanczos</p>"
    assert answer.headers["X-Ignored-Fields"] == "codeformer_weight"
    assert (jobs()[0].request.kind, jobs()[0].request.scale) == (JobKind.UPSCALE, 3)


async def test_a_picture_is_enlarged_to_a_size(client, worker, upscalers, jobs, photo) -> None:
    size = {"resize_mode": 1, "upscaling_resize_w": 320, "upscaling_resize_h": 192}
    with worker:
        answer = await client.post(SINGLE, json={"image": photo, "upscaler_1": "4x-tiny"} | size)
    assert answer.status_code == 200, answer.text
    assert (jobs()[0].request.scale, jobs()[0].request.upscaler) == (2.0, "4x-Tiny")


@pytest.mark.parametrize("more", [{}, {"upscaler_1": "none", "upscaling_resize": 3}])
async def test_the_upscaler_none_is_a_job_that_changes_nothing(
    client, worker, preprocessors, jobs, photo, more
) -> None:
    with worker:
        answer = await client.post(SINGLE, json={"image": photo} | more)
    assert answer.status_code == 200, answer.text
    assert base64.b64decode(answer.json()["image"]) == PICTURE, "the job's"
    assert answer.json()["html_info"] == "<p></p>"
    made = jobs()[0].request
    assert (made.kind, made.preprocess, made.final_size) == (JobKind.CONTROL, "none", (160, 96))


async def test_the_upscaler_none_reads_no_file(
    client, worker, preprocessors, ledger, photo
) -> None:
    """A key that may draw may not read files: what comes back is what a job made."""
    sent = {"Content-Type": "image/png"}
    kept = await client.post("/v1/files", content=base64.b64decode(photo), headers=sent)
    headers = bearer(issue(ledger, "default", scopes=frozenset({Scope.WRITE})))
    with worker:
        answer = await client.post(SINGLE, json={"image": kept.json()["id"]}, headers=headers)
    assert base64.b64decode(answer.json()["image"]) == PICTURE


async def test_several_pictures_are_a_job_each(client, worker, upscalers, jobs, photo) -> None:
    several = [{"data": photo, "name": f"{k}.png"} for k in range(3)]
    headers = {"Idempotency-Key": "k"}
    with worker:
        body = {"imageList": several, "upscaler_1": "Lanczos"}
        answer = await client.post(BATCH, json=body, headers=headers)
        again = await client.post(BATCH, json=body, headers=headers)
    assert [base64.b64decode(one) for one in answer.json()["images"]] == [PICTURE] * 3
    assert again.json() == answer.json()
    assert len(jobs()) == 3


async def test_a_key_that_is_too_long_with_a_number_makes_no_job(
    client, worker, upscalers, jobs, photo
) -> None:
    body = {"imageList": [{"data": photo}] * 11, "upscaler_1": "Lanczos"}
    answer = await client.post(BATCH, json=body, headers={"Idempotency-Key": "k" * 253})
    assert answer.json()["error"] == "invalid_idempotency_key"
    assert not jobs()


async def test_one_that_fails_is_the_answer(client, worker, upscalers, photo) -> None:
    worker.fails_with = OutOfMemory()
    with worker:
        body = {"imageList": [{"data": photo}] * 2, "upscaler_1": "Lanczos"}
        answer = await client.post(BATCH, json=body)
    assert (answer.status_code, answer.json()["error"]) == (502, "out_of_memory")


@pytest.mark.parametrize(
    ("fields", "status", "error", "named"),
    [
        ({"upscaler_1": "Dream"}, 404, "unknown_upscaler", "upscaler"),
        ({"upscaler_1": "R-ESRGAN 4x+"}, 404, "unknown_upscaler", "upscaler"),
        ({"upscaling_resize": 1}, 422, "invalid_request", "upscaling_resize: "),
        ({"upscaling_resize": 5}, 422, "unsupported_size", "upscaling_resize: "),
        ({"gfpgan_visibility": 0.5}, 422, "unsupported_field", "gfpgan_visibility: "),
        ({"extras_upscaler_2_visibility": 1}, 422, "unsupported_field", "extras_upscaler_2"),
        ({"resize_mode": 1, "upscaling_resize_w": 10**400}, 422, "invalid_request", "resize_w: "),
        ({"resize_mode": 1}, 422, "unsupported_field", "upscaling_resize_h: "),
        ({"image": "AAAA"}, 422, "unsupported_image", "image: "),
        ({"image": ""}, 422, "invalid_request", "image: "),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    client, worker, upscalers, photo, fields, status, error, named
) -> None:
    answer = await client.post(SINGLE, json={"image": photo, "upscaler_1": "Lanczos"} | fields)
    found = answer.json()
    assert (answer.status_code, found["error"]) == (status, error), found
    assert named in found["errors"]


async def test_of_several_the_one_at_fault_is_named_and_none_is_made(
    client, worker, upscalers, photo, jobs
) -> None:
    several = [{"data": photo}, {"data": "AAAA"}]
    answer = await client.post(BATCH, json={"imageList": several, "upscaler_1": "Lanczos"})
    assert answer.json()["errors"].startswith("imageList/1/data: ")
    assert [job.state for job in jobs()] == ["canceled"]


async def test_each_of_several_counts_against_the_key_s_rate(
    client, ledger, worker, upscalers, photo
) -> None:
    headers = bearer(issue(ledger, "acme", allowance=Allowance(per_minute=1, burst=4)))

    async def posted(pictures: int) -> httpx.Response:
        body = {"imageList": [{"data": photo}] * pictures, "upscaler_1": "Lanczos"}
        return await client.post(BATCH, json=body, headers=headers)

    assert (await posted(5)).json()["errors"] == "imageList: The key's rate allows 4 at once."
    late = await posted(4)  # three are left, and this request has taken one of them
    assert (late.status_code, late.json()["error"]) == (429, "rate_limited")
    assert int(late.headers["Retry-After"]) > 0
    assert not ledger.run(commands.list_jobs("acme", below=None, limit=1))
    with worker:
        assert (await posted(2)).status_code == 200, "the refused one took none of the others"


async def test_after_the_seconds_that_it_is_told_a_request_has_enough_of_the_rate(
    client, ledger, worker, upscalers, photo
) -> None:
    key = issue(ledger, "acme", allowance=Allowance(per_minute=1, burst=4))
    assert (await client.get("/v1/models", headers=bearer(key))).status_code == 200
    body = {"imageList": [{"data": photo}] * 4, "upscaler_1": "Lanczos"}
    late = await client.post(BATCH, json=body, headers=bearer(key))
    bucket = f"{ledger.root}:rate:{key.id}"
    then = float(ledger.client.get(bucket)) - 1000 * int(late.headers["Retry-After"])
    ledger.client.set(bucket, then)
    with worker:
        assert (await client.post(BATCH, json=body, headers=bearer(key))).status_code == 200


async def test_pictures_are_not_kept_while_the_client_waits(
    client, worker, upscalers, photo, monkeypatch
) -> None:
    released = list[object]()
    monkeypatch.setattr(several, "release_body", released.append)
    with worker:
        answer = await client.post(SINGLE, json={"image": photo, "upscaler_1": "Lanczos"})
    assert (answer.status_code, len(released)) == (200, 1)


def png_with(text: str) -> str:
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info if text else None)
    return base64.b64encode(file.getvalue()).decode()


async def test_a_file_s_parameters_are_read(client: httpx.AsyncClient, jobs) -> None:
    answer = await client.post(PNG_INFO, json={"image": png_with(INFOTEXT)})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["info"], found["items"]) == (INFOTEXT, {"parameters": INFOTEXT})
    parameters = found["parameters"]
    assert (parameters["Prompt"], parameters["Negative prompt"]) == ("a cat", "dog")
    assert (parameters["Steps"], parameters["Size-1"], parameters["Size-2"]) == ("20", "512", "768")
    assert not jobs()


async def test_a_file_without_parameters_says_nothing(client) -> None:
    answer = await client.post(PNG_INFO, json={"image": png_with("")})
    assert answer.json() == {"info": "", "items": {}, "parameters": {}}
    wrong = await client.post(PNG_INFO, json={"image": "AAAA"})
    assert (wrong.status_code, wrong.json()["error"]) == (422, "unsupported_image")


INTERROGATE = "/sdapi/v1/interrogate"


@pytest.fixture
def captioner(worker) -> None:
    """A live worker that has one."""
    card = CaptionerCard(captioner="blip", side=384)
    worker.queues = [card.queue]
    worker.ledger.run(commands.heartbeat("fake", worker.queues, ttl_s=60))
    worker.ledger.run(commands.register_model(card))


async def test_a_picture_is_interrogated_as_a_job(client, worker, captioner, jobs, photo) -> None:
    with worker:
        answer = await client.post(INTERROGATE, json={"image": photo, "model": "clip", "x": 1})
    assert (answer.status_code, answer.json()) == (200, {"caption": "a red circle"})
    assert answer.headers["X-Ignored-Fields"] == "x"
    assert [job.request.kind for job in jobs()] == [JobKind.CAPTION]


@pytest.mark.parametrize(
    ("fields", "status", "error", "detail"),
    [
        ({"model": "deepdanbooru"}, 422, "unsupported_field", "clip is the only one"),
        ({"image": None}, 404, "not_found", "Image not found"),
        ({"image": ""}, 404, "not_found", "Image not found"),
        ({"image": "AAAA"}, 422, "unsupported_image", ""),
    ],
)
async def test_what_cannot_be_interrogated_is_refused(
    client, worker, captioner, photo, fields, status, error, detail
) -> None:
    answer = await client.post(INTERROGATE, json={"image": photo} | fields)
    found = answer.json()
    assert (answer.status_code, found["error"]) == (status, error), found
    assert detail in found["detail"]


async def test_without_a_captioner_the_setting_is_named(client, photo) -> None:
    answer = await client.post(INTERROGATE, json={"image": photo * 9_000})
    assert (answer.status_code, answer.json()["error"]) == (422, "unsupported_field")
    assert "LATENTRY_CAPTIONER" in answer.json()["detail"]
