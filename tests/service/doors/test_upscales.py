"""POST /v1/upscales and GET /v1/upscalers, up to the worker."""

import base64
import io
import json

import pytest
from PIL import Image

from latentry.contracts import Estimate, Job, JobKind, JobStatus, UpscalerCard, UpscalerList
from latentry.contracts.catalogue.models import Pace
from latentry.ledger import commands
from tests.service.fake import FakeWorker
from tests.service.jobs.test_inputs import stored

LANCZOS = UpscalerCard(
    id="lanczos",
    architecture="Lanczos",
    scale=8,
    default_scale=2,
    created=0,
    pace=Pace(step_megapixel_s=0.5, images_at_once=1),
)
NETWORK = UpscalerCard(
    id="4x-Tiny", architecture="ESRGAN", scale=4, default_scale=4, created=0, tile=160
)


@pytest.fixture
def upscalers(worker: FakeWorker) -> None:
    """A live worker of two of them, one of which another worker of old wrote differently."""
    worker.ledger.run(commands.heartbeat("w", ["upscaler/lanczos", "upscaler/4x-Tiny"], ttl_s=60))
    worker.ledger.run(commands.starting("old", ["upscaler/4X-TINY"]))
    for card in (LANCZOS, NETWORK, NETWORK.model_copy(update={"id": "4X-TINY"})):
        worker.ledger.run(commands.register_model(card))


def png(width: int = 20, height: int = 10) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


async def post(client, **body):
    return await client.post("/v1/upscales", json={"image": png()} | body)


async def test_upscalers_are_listed_and_are_no_models(client, upscalers) -> None:
    found = UpscalerList.model_validate_json((await client.get("/v1/upscalers")).content)
    assert {one.id: one.workers for one in found.data} == {"lanczos": 1, "4x-Tiny": 1, "4X-TINY": 0}
    models = (await client.get("/v1/models")).json()["data"]
    assert [model["id"] for model in models] == ["shapes"]
    assert (await client.get("/v1/models/lanczos")).status_code == 404


async def test_without_any_worker_there_is_none(client) -> None:
    assert (await client.get("/v1/upscalers")).json() == {"data": []}
    answer = await post(client)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_model")


async def test_a_picture_is_all_that_is_needed(client, upscalers) -> None:
    answer = await post(client, metadata={"a": "b"})
    assert answer.status_code == 202
    job = Job.model_validate_json(answer.content)
    assert (job.kind, job.status) == (JobKind.UPSCALE, JobStatus.QUEUED)
    request = job.request
    assert (request.upscaler, request.scale, request.final_size) == ("lanczos", 2, (40, 20))
    assert (request.image.width, request.image.height, request.steps) == (20, 10, 1)
    assert request.metadata == {"a": "b"}
    assert job.cost.step_megapixels == pytest.approx(800 / 1e6)
    assert job.cost.worker_seconds == pytest.approx(0.001)  # no less is counted
    assert answer.headers["location"] == f"http://gateway/v1/generations/{job.id}"
    read = Job.model_validate_json((await client.get(f"/v1/generations/{job.id}")).content)
    assert read.request == request
    listed = (await client.get("/v1/generations")).json()["data"]
    assert [one["id"] for one in listed] == [job.id]
    canceled = await client.post(f"/v1/generations/{job.id}/cancel")
    assert canceled.json()["status"] == "canceled"


async def test_its_request_can_be_sent_again(client, upscalers) -> None:
    first = (await post(client, upscaler="4x-Tiny", scale=3)).json()
    left_out = {"steps"}
    again = {name: one for name, one in first["request"].items() if name not in left_out}
    answer = await client.post("/v1/upscales", json=again)
    assert answer.json()["request"] == first["request"]


async def test_capitals_matter_only_where_they_tell_apart(client, upscalers) -> None:
    for id, found in (("LANCZOS", "lanczos"), ("4x-Tiny", "4x-Tiny"), ("4X-TINY", "4X-TINY")):
        assert (await post(client, upscaler=id)).json()["request"]["upscaler"] == found
    answer = await post(client, upscaler="4x-tiny")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_upscaler")


async def test_a_repeat_with_its_key_is_the_same_job(client, upscalers) -> None:
    async def send(**body):
        headers = {"Idempotency-Key": "k"}
        return await client.post("/v1/upscales", json={"image": png()} | body, headers=headers)

    first, again, other = await send(), await send(), await send(scale=3)
    assert first.json()["id"] == again.json()["id"]
    assert other.json()["code"] == "idempotency_conflict"


async def test_a_repeat_finds_its_job_though_upscaler_and_picture_are_gone(
    client, upscalers, ledger
) -> None:
    header = {"Content-Type": "image/png"}
    picture = base64.b64decode(png().partition(",")[2])
    file = (await client.post("/v1/files", content=picture, headers=header)).json()["id"]

    async def send(**body):
        headers = {"Idempotency-Key": "k"}
        return await client.post("/v1/upscales", json={"image": file} | body, headers=headers)

    first = await send(upscaler="lanczos")
    await client.delete(f"/v1/files/{file}")
    ledger.run(commands.withdraw_model("w", "upscaler/lanczos"))
    again, other = await send(upscaler="lanczos"), await send(upscaler="lanczos", scale=3)
    assert again.json()["id"] == first.json()["id"]
    assert other.json()["code"] == "idempotency_conflict"


async def test_a_dry_run_tells_the_cost_and_keeps_nothing(client, upscalers, settings) -> None:
    answer = await post(client, image=png(200, 100), dry_run=True)
    assert answer.status_code == 200
    told = Estimate.model_validate_json(answer.content).cost
    assert (told.step_megapixels, told.worker_seconds) == pytest.approx((0.08, 0.04))
    assert (await client.get("/v1/generations")).json()["data"] == []
    assert stored(settings) == []
    job = Job.model_validate_json((await post(client, image=png(200, 100))).content)
    assert job.cost == told


async def test_a_dry_run_refuses_what_would_be_too_large(client, upscalers, settings) -> None:
    answer = await post(client, image=png(3000, 1), scale=8, dry_run=True)
    assert (answer.status_code, answer.json()["code"]) == (422, "image_too_large")
    assert stored(settings) == []


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"image": None}, 422, "invalid_request", "/image"),
        ({"image": 1}, 422, "invalid_request", "/image"),
        ({"image": "file:///etc/passwd"}, 422, "invalid_request", "/image"),
        ({"image": "file_gone"}, 422, "file_gone", "/image"),
        ({"image": "https://127.0.0.1/a.png"}, 422, "url_not_allowed", "/image"),
        ({"image": "data:image/png;base64,AAAA"}, 422, "unsupported_image", "/image"),
        ({"scale": 1}, 422, "invalid_request", "/scale"),
        ({"scale": 9}, 422, "invalid_request", "/scale"),
        ({"scale": "2"}, 422, "invalid_request", "/scale"),
        ({"scale": 5, "upscaler": "4x-Tiny"}, 422, "unsupported_size", "/scale"),
        ({"scale": 1.0001}, 422, "unsupported_size", "/scale"),
        ({"upscaler": "../x"}, 422, "invalid_request", "/upscaler"),
        ({"upscaler": "lanczos,other"}, 422, "invalid_request", "/upscaler"),
        ({"upscaler": "shapes"}, 404, "unknown_upscaler", None),
        ({"output_quality": 5}, 422, "unsupported_field", "/output_quality"),
        ({"prompt": "a cat"}, 422, "invalid_request", "/prompt"),
        ({"mask": png()}, 422, "invalid_request", "/mask"),
        ({"image": png(5000, 3000), "scale": 2}, 422, "image_too_large", "/image"),
        ({"image": png(9000, 2), "scale": 2}, 422, "image_too_large", "/scale"),
    ],
)
async def test_hostile_bodies_are_refused_by_name(
    client, upscalers, body, status, code, field
) -> None:
    answer = await post(client, **body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    if field:
        assert field in [error["pointer"] for error in problem["errors"]]
    files = await client.get("/v1/generations")
    assert files.json()["data"] == []


async def test_no_body_at_all_and_bodies_that_are_none(client, upscalers) -> None:
    for raw in (b"", b"[]", b"{", b"null", b'{"image": "file_1", "image": "file_2"}'):
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/v1/upscales", content=raw, headers=headers)
        assert answer.status_code in (400, 422), raw


async def test_refused_pictures_are_not_kept(client, upscalers, worker) -> None:
    def kept() -> int:
        return sum(1 for _ in worker.ledger.client.scan_iter(f"{worker.ledger.root}:file:*"))

    assert (await post(client)).status_code == 202
    assert kept() == 1
    assert (await post(client, image=png(9000, 2), scale=2)).status_code == 422
    assert kept() == 1


async def test_the_document_describes_it(client) -> None:
    document = json.loads((await client.get("/openapi.json")).content)
    assert "UpscaleRequest" in document["components"]["schemas"]
    assert {"/v1/upscales", "/v1/upscalers"} <= document["paths"].keys()
