"""Edits and variations: forms, JSON, and whose picture it is."""

import base64
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from service.doors.sizes import size_of
from tests.hostile.pictures import encoded
from tests.service.fake import PICTURE, FakeWorker
from tests.service.hanging_up import hang_up
from tests.service.keys import bearer, issue

EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
PHOTO = encoded("PNG", size=(150, 100))
MASK = encoded("PNG", size=(150, 100), mode="RGBA")


def data_url(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def form(**fields: object) -> dict:
    """The arguments of a request with a form."""
    files = [(name, ("a.png", value)) for name, value in fields.items() if type(value) is bytes]
    texts = {name: value for name, value in fields.items() if type(value) is not bytes}
    return {"files": files or {"x": b""}, "data": texts}


def test_a_picture_and_its_mask_are_repainted(sdk: openai.OpenAI, worker, made) -> None:
    with worker:
        answer = sdk.images.edit(
            image=PHOTO, mask=MASK, prompt="a hat", n=2, response_format="b64_json", user="u1"
        )
    assert [base64.b64decode(one.b64_json) for one in answer.data] == [PICTURE] * 2
    request = made()
    assert (request.prompt, request.n, request.metadata) == ("a hat", 2, {"user": "u1"})
    assert (request.image.width, request.image.height) == (150, 100)
    assert (request.mask_channel, request.strength) == ("alpha", 1.0)
    # As near to the picture's own size as the model can, and never stretched.
    assert answer.size == "160x96"
    assert (request.width, request.height, request.resize_mode) == (160, 96, "crop")


def test_without_a_mask_the_whole_picture_may_change(sdk: openai.OpenAI, worker, made) -> None:
    with worker:
        sdk.images.edit(image=[PHOTO], prompt="a hat", size="128x128", quality="high")
    request = made()
    assert (request.width, request.height, request.num_inference_steps) == (128, 128, 38)
    assert (request.mask, request.strength) == (None, 0.8)


def test_our_own_fields_pass_in_a_form(sdk: openai.OpenAI, worker, made) -> None:
    own = {
        "strength": 0.4,
        "seed": 11,
        "sampler": "Euler Karras",
        "prompt_syntax": "weighted",
        "hires": {"width": 192, "height": 192},
        "original_size": None,
        "metadata": {"a": "1", "b": "true"},
        "determinism": "strict",
        "priority": "high",
    }
    with worker:
        sdk.images.edit(image=PHOTO, prompt="7", extra_body=own)
    request = made()
    assert (request.strength, request.seed, request.sampler) == (0.4, 11, "euler")
    assert (request.prompt, request.hires.width) == ("7", 192)
    assert request.metadata == {"a": "1", "b": "true"}
    assert (request.determinism, request.spacing) == ("strict", "karras")


def test_a_picture_may_be_named_in_json(sdk: openai.OpenAI, url: str, worker, made) -> None:
    kept = sdk.files.create(file=("a.png", PHOTO), purpose="vision")
    with worker:
        for image in ({"file_id": kept.id}, {"image_url": data_url(PHOTO)}):
            body = {"prompt": "a hat", "images": [image], "mask": {"image_url": data_url(MASK)}}
            answer = httpx.post(f"{url}{EDITS}", json=body)
            assert answer.status_code == 200, answer.text
            assert made().image.width == 150
            assert made().mask is not None
            assert answer.json()["size"] == "160x96"


async def test_a_part_may_name_a_picture_too(client, worker: FakeWorker, made) -> None:
    kept = await client.post("/v1/files", content=PHOTO, headers={"Content-Type": "image/png"})
    with worker:
        answer = await client.post(EDITS, **form(image=kept.json()["id"], prompt="a"))
    assert answer.status_code == 200, answer.text
    assert made().image.file == kept.json()["id"]


def test_a_variation_needs_no_prompt(sdk: openai.OpenAI, worker, made) -> None:
    with worker, pytest.deprecated_call():
        answer = sdk.images.create_variation(
            image=PHOTO, n=2, size="1024x1024", response_format="b64_json"
        )
    assert len(answer.data) == 2
    assert (made().prompt, made().strength, made().width) == ("", 0.5, 192)


@pytest.mark.parametrize("turned", [1, 6])
async def test_a_photo_of_a_phone_is_as_large_as_it_is_shown(
    client, worker: FakeWorker, made, turned: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    photo = encoded("JPEG", size=(150, 100), exif=exif)
    with worker:
        await client.post(EDITS, **form(image=photo, prompt="a"))
    sides = (made().width, made().height)
    assert sides == ((160, 96) if turned == 1 else (96, 160))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"image": b""}, "image"),
        ({"prompt": ""}, "prompt"),
        ({"image": b"no picture"}, "image"),
        ({"mask": b"no picture"}, "mask"),
        ({"markup": MASK}, "markup"),
        ({"n": "two"}, "n"),
        ({"n": "2.5"}, "n"),
        ({"n": "9" * 5_000}, "n"),
        ({"stream": "perhaps"}, "stream"),
        ({"seed": "[" * 9_000}, "seed"),
        ({"strength": "NaN"}, "strength"),
        ({"strength": "2"}, "strength"),
        ({"hires[scale]": "9"}, "hires/scale"),
        ({"hires[scale][x]": "9"}, "hires/scale"),
        ({"hires": "{"}, "hires"),
        ({"loras[][id]": ["a", "b"], "loras[][weight]": "1"}, "loras"),
        ({"hires[x][][id]": ["a", "b"], "hires[x][][weight]": "1"}, "hires/x"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "gif"}, "output_format"),
        ({"prompt": "x" * 9_000}, "prompt"),
        ({"prompt": "x" * 70_000}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"width": "128"}, "size"),
        ({"size": "100x100"}, "size"),
        ({"intermediates": '{"every": 1}'}, "intermediates"),
        ({"mask": MASK, "mask_padding": "8"}, "mask_padding"),
    ],
)
async def test_what_is_wrong_in_a_form_is_named(client, worker, fields, param: str) -> None:
    answer = await client.post(EDITS, **form(**{"image": PHOTO, "prompt": "a"} | fields))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param, answer.text
    assert answer.json()["error"]["message"]
    assert (await client.get("/v1/generations")).json()["data"] == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"images": []}, "image"),
        ({"images": [{}]}, "images/0"),
        ({"images": [{"file_id": "file_" + "0" * 32}]}, "images"),
        ({"images": [{"file_id": "file-abc"}]}, "images/0/file_id"),
        ({"images": [{"image_url": "http://a.example/b.png"}]}, "images/0/image_url"),
        ({"images": [{"image_url": "data:image/png;base64,!!!"}]}, "images"),
        ({"images": [{"image_url": "https://127.0.0.1/x.png"}]}, "images"),
        ({"images": [{"image_url": data_url(PHOTO)}] * 17}, "images"),
        ({"mask": {"file_id": "file_" + "0" * 32}}, "mask"),
        ({"mask": {"image_url": "data:image/png;base64,aaaa"}}, "mask"),
        ({"mask": 7}, "mask"),
    ],
)
async def test_what_is_wrong_in_json_is_named(client, worker, fields, param: str) -> None:
    body = {"prompt": "a", "images": [{"image_url": data_url(PHOTO)}]} | fields
    answer = await client.post(EDITS, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param, answer.text


async def test_what_is_no_object_in_a_form_names_no_class_of_ours(client, worker) -> None:
    form = {"prompt": "a", "hires": "2"}
    answer = await client.post(EDITS, data=form, files={"image": ("a.png", PHOTO)})
    assert answer.json()["error"]["message"] == "hires: Input should be an object."


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n", 400),
        ("multipart/form-data; boundary=b", b"--b" + b"\r\n--b" * 500 + b"--", 400),
        ("multipart/form-data; boundary=b", b"--b--", 400),
        ("text/plain", b"x", 415),
        ("application/x-www-form-urlencoded", b"prompt=a", 415),
    ],
)
@pytest.mark.parametrize("path", [EDITS, VARIATIONS])
async def test_a_damaged_form_has_its_envelope(client, worker, path, content_type, content, status):
    answer = await client.post(path, content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("name", ["a[", "a]", "a[b", "[a]", "", "x" * 65, "a[b][c][d][e]", "é\0["])
async def test_a_field_s_name_that_is_none_is_refused(client, worker, name: str) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nx\r\n--b--'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post(EDITS, content=head.encode(), headers=headers)
    assert answer.status_code == 400, answer.text


async def test_another_tenants_picture_is_one_that_never_was(client, worker, ledger) -> None:
    acme, other = (bearer(issue(ledger, tenant)) for tenant in ("acme", "other"))
    kept = await client.post(
        "/v1/files", content=PHOTO, headers=acme | {"Content-Type": "image/png"}
    )
    theirs, unknown = kept.json()["id"], "file_" + "0" * 32
    for field in ("images", "mask"):
        answers = []
        for id in (theirs, unknown):
            named = {"file_id": id}
            body = {"prompt": "a", "images": [{"image_url": data_url(PHOTO)}]}
            body[field] = [named] if field == "images" else named
            answer = await client.post(EDITS, json=body, headers=other)
            answers.append((answer.status_code, answer.text.replace(id, "ID")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 400
    for path in (EDITS, VARIATIONS):
        answers = [
            (answer.status_code, answer.text.replace(id, "ID"))
            for id in (theirs, unknown)
            for answer in [await client.post(path, **form(image=id, prompt="a"), headers=other)]
        ]
        assert answers[0] == answers[1]


async def test_a_large_form_is_one_job_and_no_sender_s_body_is_kept(client, worker, jobs) -> None:
    large = PHOTO + bytes(3 * 1024 * 1024)
    with worker:
        answer = await client.post(EDITS, **form(image=large, prompt="a"))
    assert answer.status_code == 200, answer.text
    too_large = await client.post(EDITS, **form(image=PHOTO + bytes(26 * 1024 * 1024), prompt="a"))
    assert (too_large.status_code, too_large.json()["error"]["code"]) == (413, "body_too_large")
    assert len(jobs()) == 1


def test_a_client_that_hangs_up_cancels_its_edit(url: str, worker: FakeWorker, jobs) -> None:
    hang_up(f"{url}{EDITS}", once=jobs, **form(image=PHOTO, prompt="a"))
    while jobs()[0].state != "canceled":
        pass


async def test_an_edit_with_an_idempotency_key_is_one_job(client, worker, jobs) -> None:
    headers = {"Idempotency-Key": "k1"}
    with worker:
        first, again = [
            await client.post(EDITS, **form(image=PHOTO, prompt="a"), headers=headers)
            for _ in range(2)
        ]
    assert first.json()["data"][0]["seed"] == again.json()["data"][0]["seed"]
    assert len(jobs()) == 1


async def test_what_is_not_possible_costs_nothing(client, worker, ledger) -> None:
    for fields in ({"model": "dreams"}, {"size": "1x1"}, {"strength": "0.001"}):
        answer = await client.post(EDITS, **form(image=PHOTO, prompt="a", **fields))
        assert answer.status_code in (400, 404)
    assert not ledger.client.keys(f"{ledger.root}:file:*")


async def test_a_picture_s_size_is_known_by_its_head_or_not_yet() -> None:
    files: Any = None
    for picture, size in ((PHOTO, (150, 100)), (b"nothing", None), (PHOTO[:20], None)):
        assert await size_of(files, "acme", data_url(picture)) == size
    assert await size_of(files, "acme", "https://pictures.example/a.png") is None
