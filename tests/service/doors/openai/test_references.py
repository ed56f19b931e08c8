"""Several pictures in an edit: the first is edited, an IP-Adapter reads the others."""

import base64
from typing import Any

import httpx
import openai
import pytest

from latentry.contracts import Adapter, AdapterKind, RegisteredCard
from latentry.ledger import Ledger, commands
from tests.hostile.pictures import encoded
from tests.latentry.ledger.factory import card
from tests.service.doors.openai.test_edits import EDITS, PHOTO, VARIATIONS, data_url, form
from tests.service.fake import FakeWorker
from tests.service.keys import bearer, issue

CUP, HAT = encoded("PNG", size=(64, 48)), encoded("JPEG", size=(48, 64))
EYE = Adapter(
    id="eye", kind=AdapterKind.IP_ADAPTER, family="SD 1.x", models=("shapes",), sha256="1" * 64,
    autov3="2" * 12, size_bytes=10, rank=0, networks=("unet",),
)  # fmt: skip
LARGE = EYE.model_copy(update={"id": "a-large", "family": "SDXL", "models": (), "sha256": "3" * 64})
INK = EYE.model_copy(update={"id": "a-ink", "kind": AdapterKind.LORA})


# Before the gateway starts, which reads the catalogue once a second.
@pytest.fixture(autouse=True)
def adapters(request: pytest.FixtureRequest, ledger: Ledger, worker: FakeWorker) -> None:
    """The model with IP-Adapters of these ids, and with what is none of its."""
    ids = getattr(request, "param", ["eye"])
    own = tuple(EYE.model_copy(update={"id": id, "sha256": f"{n:064}"}) for n, id in enumerate(ids))
    facts = dict(card("shapes")) | {"family": "SD 1.x", "adapters": (*own, LARGE, INK)}
    ledger.run(commands.register_model(RegisteredCard(**facts)))


def url(picture: bytes) -> dict[str, str]:
    return {"image_url": data_url(picture)}


def test_further_pictures_are_image_prompts(sdk: openai.OpenAI, worker, made) -> None:
    with worker:
        sdk.images.edit(image=[PHOTO, CUP, HAT], prompt="a hat", mask=PHOTO)
    request = made()
    assert (request.image.width, request.image.height, request.mask.width) == (150, 100, 150)
    assert [(one.id, one.weight) for one in request.image_prompts] == [("eye", 0.6)] * 2
    assert [one.image.width for one in request.image_prompts] == [64, 48]


@pytest.mark.parametrize("adapters", [["eye", "eye-plus"]], indirect=True)
async def test_which_adapter_and_how_much_may_be_said(client, worker, adapters, made) -> None:
    kept = await client.post("/v1/files", content=CUP, headers={"Content-Type": "image/png"})
    said = {"reference_adapter": "EYE-plus", "reference_weight": -0.25}
    own = {"image_prompts": [{"id": "eye", "image": data_url(HAT)}]}
    pictures = [url(PHOTO), {"file_id": kept.json()["id"]}]
    body = {"prompt": "a", "images": pictures} | said | own
    with worker:
        answer = await client.post(EDITS, json=body)
        assert answer.status_code == 200, answer.text
        first, second = made().image_prompts
        parts = form(image=PHOTO, **{"image[]": CUP}, prompt="a", **said)
        answer = await client.post(EDITS, **parts)
        assert answer.status_code == 200, answer.text
        [third] = made().image_prompts
    assert (first.id, first.weight, first.image.width) == ("eye", 1.0, 48)
    assert (second.id, second.weight, second.image.file) == ("eye-plus", -0.25, kept.json()["id"])
    assert (third.id, third.weight, third.image.width) == ("eye-plus", -0.25, 64)


@pytest.mark.parametrize(
    ("adapters", "chosen"),
    [
        (["ip-adapter_sd15"], "ip-adapter_sd15"),
        (["ip-adapter_sd15_light", "ip-adapter_sd15"], "ip-adapter_sd15"),
        (["ip-adapter-Full-Face_sd15", "ip-adapter_sd15"], "ip-adapter_sd15"),
        (["ip-adapter-plus-face_sd15", "ip-adapter-full-face_sd15"], "ip-adapter-full-face_sd15"),
    ],
    indirect=["adapters"],
)
async def test_of_several_adapters_the_first_that_is_not_for_faces_is_taken(
    client, worker, made, adapters, chosen
) -> None:
    with worker:
        answer = await client.post(EDITS, json={"prompt": "a", "images": [url(PHOTO), url(CUP)]})
    assert answer.status_code == 200, answer.text
    assert [one.id for one in made().image_prompts] == [chosen]


@pytest.mark.parametrize("adapters", [[]], indirect=True)
def test_without_an_adapter_several_are_refused_by_name(sdk: openai.OpenAI, adapters) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.images.edit(image=[PHOTO, CUP], prompt="a")
    assert (refusal.value.param, refusal.value.code) == ("image", "unsupported_field")
    assert "none that fits shapes; add its file to a folder" in refusal.value.message


@pytest.mark.parametrize("adapters", [[]], indirect=True)
async def test_an_adapter_of_another_model_is_none(client, adapters) -> None:
    for body, param in (
        ({"images": [url(PHOTO), url(CUP)]}, "images"),
        ({"image": data_url(PHOTO), "images": [url(CUP)]}, "images"),
        ({"image": [url(PHOTO), url(CUP)]}, "image"),
    ):
        answer = await client.post(EDITS, json={"prompt": "a"} | body)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert (error["param"], error["code"]) == (param, "unsupported_field")


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"reference_adapter": "nose"}, "unknown_adapter", "reference_adapter"),
        ({"reference_adapter": "a-ink"}, "adapter_mismatch", "reference_adapter"),
        ({"reference_adapter": "a-large"}, "adapter_mismatch", "reference_adapter"),
        ({"reference_adapter": ""}, "invalid_request", "reference_adapter"),
        ({"reference_weight": 11}, "invalid_request", "reference_weight"),
        ({"images": [url(PHOTO)] * 10}, "invalid_request", "images"),
        ({"images": [url(PHOTO)] * 17}, "invalid_request", "images"),
        ({"images": [url(PHOTO)] * 3, "image_prompts": [{"id": "eye", "image": data_url(HAT)}] * 7},
         "invalid_request", "images"),
        ({"images": [url(PHOTO), url(CUP), url(b"none")]}, "unsupported_image", "images/2"),
        ({"images": [url(PHOTO), {"file_id": "file_" + "0" * 32}]}, "file_gone", "images/1"),
        ({"images": [url(PHOTO), {"image_url": "https://127.0.0.1/x.png"}]}, "url_not_allowed",
         "images/1"),
        ({"image": [url(PHOTO)], "images": [url(b"none")]}, "unsupported_image", "images/0"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_as_it_was_sent(
    client, worker, fields: dict[str, Any], code: str, param: str
) -> None:
    body = {"prompt": "a", "images": [url(PHOTO), url(CUP)]} | fields
    answer = await client.post(EDITS, json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == (code, param), answer.text
    assert (await client.get("/v1/generations")).json()["data"] == []


async def test_a_part_that_is_no_picture_is_named(client, worker) -> None:
    body = {"data": {"prompt": "a"}, "files": [("image", PHOTO), ("image", b"none")]}
    answer = await client.post(EDITS, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image/1")


async def test_as_many_as_an_image_prompt_may_have(client, worker, made) -> None:
    with worker:
        answer = await client.post(EDITS, json={"prompt": "a", "images": [url(CUP)] * 9})
    assert answer.status_code == 200, answer.text
    assert len(made().image_prompts) == 8
    too_many = await client.post(EDITS, json={"prompt": "a", "images": [url(CUP)] * 10})
    assert "At most 9 pictures: one to edit, 8 for" in too_many.json()["error"]["message"]


async def test_all_pictures_count_for_the_size_of_the_body(client, worker) -> None:
    large = PHOTO + bytes(14 * 1024 * 1024)
    files = [("image", large), ("image", large)]
    answer = await client.post(EDITS, data={"prompt": "a"}, files=files)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_another_tenants_reference_is_one_that_never_was(client, worker, ledger) -> None:
    acme, other = (bearer(issue(ledger, tenant)) for tenant in ("acme", "other"))
    kept = await client.post("/v1/files", content=CUP, headers=acme | {"Content-Type": "image/png"})
    answers = []
    for id in (kept.json()["id"], "file_" + "0" * 32):
        body = {"prompt": "a", "images": [url(PHOTO), {"file_id": id}]}
        answer = await client.post(EDITS, json=body, headers=other)
        answers.append((answer.status_code, answer.text.replace(id, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 400


def test_they_are_streamed_as_any_edit(sdk: openai.OpenAI, worker, made) -> None:
    with worker:
        events = list(sdk.images.edit(image=[PHOTO, CUP], prompt="a", stream=True))
    assert [event.type for event in events] == ["image_edit.completed"]
    assert len(made().image_prompts) == 1


async def test_what_reads_none_is_ignored_and_named(client, worker, made) -> None:
    said = {"reference_adapter": "nose", "reference_weight": 1}
    with worker:
        answer = await client.post(EDITS, json={"prompt": "a", "images": [url(PHOTO)]} | said)
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Ignored-Fields"] == "reference_adapter, reference_weight"
    assert made().image_prompts == ()


async def test_a_variation_is_of_one_picture(client: httpx.AsyncClient, worker) -> None:
    answer = await client.post(VARIATIONS, files=[("image", PHOTO), ("image", CUP)])
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (
        400,
        "image",
        "unsupported_field",
    )


@pytest.mark.parametrize("adapters", [[]], indirect=True)
def test_a_picture_s_base64_is_not_quoted(sdk: openai.OpenAI, adapters) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.images.edit(image=[PHOTO, CUP], prompt="a")
    assert base64.b64encode(CUP).decode()[:40] not in str(refusal.value.body)
