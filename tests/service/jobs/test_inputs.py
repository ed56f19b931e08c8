"""Pictures that requests name: found, decoded or fetched once, pinned, and never left over."""

import asyncio
import base64
import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from latentry.contracts import File, Job
from latentry.errors import StorageUnavailable
from latentry.ledger import Ledger, files
from latentry.settings import Settings
from latentry.storage import Storage, file_key, open_storage
from service.intake.decode import Intake
from tests.hostile.pictures import encoded
from tests.service.fake import FakeWorker
from worker.claims.inputs import Inputs

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


async def test_a_worker_reads_what_the_request_brought(client, worker, settings) -> None:
    await create(client, image=DATA, mask=MASK)
    storage = open_storage(settings)
    [canvas] = Inputs(storage).load(lease := worker.claim())
    assert canvas
    assert canvas.repainted is not None
    for named in lease.record.request.inputs().values():
        data = storage.get(file_key(lease.ref.tenant, named.file))
        pixels = Image.open(io.BytesIO(data)).tobytes()
        assert hashlib.sha256(pixels).hexdigest() == named.pixel_sha256


async def test_what_is_not_there_for_this_tenant_is_gone(client, worker, ledger, settings) -> None:
    file = await upload(client)
    mine, theirs = (files.FileRef(tenant, file.id) for tenant in ("default", "other"))
    ledger.client.rename(f"{ledger.root}:file:{mine}", f"{ledger.root}:file:{theirs}")
    for id in (file.id, "file_" + "0" * 32, "file_x", "file_../../etc/passwd"):
        await refused(client, "file_gone", "/image", image=id)
        await refused(client, "file_gone", "/mask", image=DATA, mask=id)
        await refused(client, "file_gone", "/image", image=id, dry_run=True)
    assert len(stored(settings)) == 1, "and nothing was stored on the way"


async def test_a_file_that_goes_before_the_job_is_there_is_gone(client, worker, app) -> None:
    file = await upload(client)
    inputs = app.state.gateway.inputs

    class Late(type(inputs)):
        async def find(self, tenant, request):
            found = await inputs.find(tenant, request)
            await self.files.delete(files.FileRef(tenant, file.id))
            return found

    late = Late(inputs.files, inputs.outbound, inputs.max_bytes)
    app.state.gateway = replace(app.state.gateway, inputs=late)
    await refused(client, "file_gone", "/image", image=file.id)


async def test_cheap_checks_come_before_anything_is_decoded(
    client, worker, app, settings, monkeypatch
) -> None:
    async def never(*_: object) -> None:
        pytest.fail("decoded")

    monkeypatch.setattr(Intake, "take", never)
    too_weak = {"image": DATA, "strength": 0.01, "num_inference_steps": 5}
    await refused(client, "invalid_request", "/strength", **too_weak)
    await refused(client, "unsupported_size", "/width", image=DATA, width=512)
    await refused(client, "unsupported_field", "/mask", mask=DATA)
    answer = await client.post("/v1/generations", json=REQUEST | {"image": DATA, "model": "none"})
    assert answer.json()["code"] == "unknown_model"
    answer = await client.post("/v1/generations", json=REQUEST | {"image": DATA, "dry_run": True})
    assert answer.status_code == 200, answer.text
    await create(client)
    full = settings.model_copy(update={"max_queued": 1})
    app.state.gateway = replace(app.state.gateway, settings=full)
    answer = await client.post("/v1/generations", json=REQUEST | {"image": DATA})
    assert answer.json()["code"] == "queue_full"
    assert stored(settings) == []


async def test_a_repeated_request_makes_no_second_file(client, worker, settings) -> None:
    headers = {"Idempotency-Key": "k"}
    first, second = [
        await client.post("/v1/generations", json=REQUEST | {"image": DATA}, headers=headers)
        for _ in range(2)
    ]
    assert first.json()["id"] == second.json()["id"]
    assert len(stored(settings)) == 1
    other = await client.post("/v1/generations", json=REQUEST | {"image": MASK}, headers=headers)
    assert other.json()["code"] == "idempotency_conflict"
    assert len(stored(settings)) == 1


async def test_a_request_is_repeated_though_its_file_is_gone(client, worker) -> None:
    file = await upload(client)
    body, headers = REQUEST | {"image": file.id}, {"Idempotency-Key": "k"}
    first = await client.post("/v1/generations", json=body, headers=headers)
    await client.delete(f"/v1/files/{file.id}")
    again = await client.post("/v1/generations", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    await refused(client, "file_gone", "/image", image=file.id)


async def test_of_equal_requests_at_once_one_makes_a_file(client, worker, settings) -> None:
    answers = await asyncio.gather(
        *(
            client.post(
                "/v1/generations", json=REQUEST | {"image": DATA}, headers={"Idempotency-Key": "k"}
            )
            for _ in range(4)
        )
    )
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(stored(settings)) == 1


async def test_of_a_refused_request_nothing_is_left(client, worker, settings, ledger) -> None:
    broken = "data:image/png;base64," + base64.b64encode(encoded("PNG")[:60]).decode()
    await refused(client, "broken_image", "/mask", image=DATA, mask=broken)
    assert stored(settings) == []
    assert not ledger.client.keys(f"{ledger.root}:file*")


async def test_a_picture_that_is_image_and_mask_is_one_file(client, worker, settings) -> None:
    job = await create(client, image=DATA, mask=DATA)
    assert job.request.image == job.request.mask
    assert len(stored(settings)) == 1


async def test_a_full_quota_refuses_a_picture_in_a_request(client, worker, app, settings) -> None:
    inputs = app.state.gateway.inputs
    none = replace(inputs.files, settings=settings.model_copy(update={"max_files": 0}))
    app.state.gateway = replace(app.state.gateway, inputs=replace(inputs, files=none))
    answer = await client.post("/v1/generations", json=REQUEST | {"image": DATA})
    assert (answer.status_code, answer.json()["code"]) == (429, "file_quota_exceeded")
    assert stored(settings) == []


@pytest.mark.parametrize("ending", ["deleted", "expired"])
async def test_a_job_keeps_its_files_until_it_ends(
    client, worker: FakeWorker, settings, ledger: Ledger, app, ending: str
) -> None:
    file, retention = await upload(client), app.state.background.retention
    await create(client, image=file.id)
    job = await create(client, image=file.id)
    if ending == "deleted":
        assert (await client.delete(f"/v1/files/{file.id}")).status_code == 204
    else:
        ref = f"default:{file.id}"
        ledger.client.hset(f"{ledger.root}:file:{ref}", "expires_ms", 1)
        ledger.client.zadd(f"{ledger.root}:fileends", {ref: 1})
    assert (await client.get(f"/v1/files/{file.id}")).status_code == 404
    await refused(client, "file_gone", "/image", image=file.id)
    worker.finish(worker.claim())
    await retention.remove_due_files()
    [kept] = stored(settings)
    os.utime(kept, (0, 0))
    await retention.remove_orphans()
    assert stored(settings) == [kept], "the other job has not ended"
    await client.delete(f"/v1/generations/{job.id}")
    await retention.remove_due_files()
    assert stored(settings) == []
    assert not ledger.client.keys(f"{ledger.root}:file*")
    assert not ledger.client.keys(f"{ledger.root}:pins*")


async def test_a_file_whose_job_was_removed_by_hand_goes_all_the_same(
    client, worker, settings, ledger, app
) -> None:
    file = await upload(client)
    job = await create(client, image=file.id)
    ledger.client.delete(f"{ledger.root}:job:default:{job.id}")
    await client.delete(f"/v1/files/{file.id}")
    assert stored(settings) == []


async def test_a_deletion_that_storage_refuses_is_made_up_for(
    client, worker, settings, app, monkeypatch
) -> None:
    file = await upload(client)
    with monkeypatch.context() as patched:
        patched.setattr(Storage, "delete_prefix", _refuse)
        assert (await client.delete(f"/v1/files/{file.id}")).status_code == 204
    assert len(stored(settings)) == 1
    assert (await client.get(f"/v1/files/{file.id}")).status_code == 404
    await app.state.background.retention.remove_due_files()
    assert stored(settings) == []


def _refuse(*_: object) -> None:
    raise StorageUnavailable
