"""Pictures that requests name: found, decoded or fetched once, pinned, and never left over."""

import base64
import hashlib
import io
from pathlib import Path

import httpx
from PIL import Image

from latentry.contracts import File, Job
from latentry.settings import Settings
from tests.hostile.pictures import encoded
from tests.service.fake import FakeWorker

PICTURE = encoded("JPEG")
DATA = "data:image/jpeg;base64," + base64.b64encode(PICTURE).decode()
MASK = "data:image/png;base64," + base64.b64encode(encoded("PNG", mode="L")).decode()
REQUEST = {"prompt": "a red circle"}


async def upload(client: httpx.AsyncClient) -> File:
    answer = await client.post("/v1/files", content=PICTURE, headers={"Content-Type": "image/jpeg"})
    return File.model_validate_json(answer.content)


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post("/v1/generations", json=REQUEST | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


async def refused(client: httpx.AsyncClient, code: str, pointer: str, **fields: object) -> dict:
    answer = await client.post("/v1/generations", json=REQUEST | fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}
    return answer.json()


def stored(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_dir / "images").rglob("file_*/*") if path.is_file()]


async def test_a_file_is_named_by_its_id(client, worker: FakeWorker) -> None:
    file = await upload(client)
    job = await create(client, image=file.id)
    image = job.request.image
    assert image
    assert (image.file, image.width, image.height) == (file.id, 40, 24)
    assert image.pixel_sha256 == file.pixel_sha256
    assert job.request.strength == 0.8


async def test_a_picture_in_the_request_becomes_a_file(client, worker, settings) -> None:
    job = await create(client, image=DATA, mask=MASK)
    image, mask = job.request.image, job.request.mask
    assert image
    assert mask
    assert image.file != mask.file
    assert job.request.strength == 1.0
    content = await client.get(f"/v1/files/{image.file}/content")
    pixels = Image.open(io.BytesIO(content.content)).convert("RGB").tobytes()
    assert hashlib.sha256(pixels).hexdigest() == image.pixel_sha256
    assert len(stored(settings)) == 2


async def test_a_prompt_may_be_left_out_where_a_picture_is_given(client, worker) -> None:
    answer = await client.post("/v1/generations", json={"image": (await upload(client)).id})
    assert (answer.status_code, answer.json()["request"]["prompt"]) == (202, "")
    for body in ({}, {"prompt": None}, {"mask": DATA}):
        answer = await client.post("/v1/generations", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/prompt"]
