"""POST /v1/controls, up to the worker."""

import pytest

from latentry.contracts import Estimate, Job, JobKind, JobStatus, PreprocessorsCard
from latentry.contracts.catalogue.models import Pace
from latentry.ledger import commands
from tests.service.doors.test_upscales import png
from tests.service.fake import FakeWorker
from tests.service.jobs.test_inputs import stored

CARD = PreprocessorsCard(
    preprocessors=("none", "canny"), pace=Pace(step_megapixel_s=0.5, images_at_once=1)
)


@pytest.fixture
def preprocessors(worker: FakeWorker) -> None:
    """A live worker that lacks one of them."""
    worker.queues = ["shapes", CARD.queue]
    worker.ledger.run(commands.heartbeat("fake", worker.queues, ttl_s=60))
    worker.ledger.run(commands.register_model(CARD))


async def post(client, **body):
    return await client.post("/v1/controls", json={"image": png()} | body)


async def test_without_any_worker_there_is_none(client) -> None:
    answer = await post(client)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_model")


async def test_a_picture_is_all_that_is_needed(client, preprocessors) -> None:
    answer = await post(client, metadata={"a": "b"})
    assert answer.status_code == 202, answer.text
    job = Job.model_validate_json(answer.content)
    assert (job.kind, job.status) == (JobKind.CONTROL, JobStatus.QUEUED)
    request = job.request
    assert (request.preprocess, request.thresholds) == ("canny", (100, 200))
    assert (request.final_size, request.steps) == ((20, 10), 2)
    assert job.cost.step_megapixels == pytest.approx(2 * 200 / 1e6)
    read = Job.model_validate_json((await client.get(f"/v1/generations/{job.id}")).content)
    assert read.request == request
    listed = (await client.get("/v1/generations?kind=control")).json()["data"]
    assert [one["id"] for one in listed] == [job.id]


async def test_a_worker_makes_it(client, worker, preprocessors) -> None:
    with worker:
        answer = await client.post(
            "/v1/controls", json={"image": png()}, headers={"Prefer": "wait=20"}
        )
    job = Job.model_validate_json(answer.content)
    assert (answer.status_code, job.status, len(job.images)) == (200, JobStatus.SUCCEEDED, 1)


async def test_its_request_can_be_sent_again(client, preprocessors) -> None:
    first = (await post(client, width=40, resize_mode="pad", thresholds=[5, 9])).json()
    assert (first["request"]["width"], first["request"]["height"]) == (40, 20)
    again = {name: one for name, one in first["request"].items() if name != "steps"}
    answer = await client.post("/v1/controls", json=again)
    assert answer.json()["request"] == first["request"]


async def test_a_dry_run_tells_the_cost_and_keeps_nothing(client, preprocessors, settings) -> None:
    answer = await post(client, image=png(200, 100), dry_run=True)
    assert answer.status_code == 200, answer.text
    told = Estimate.model_validate_json(answer.content).cost
    assert (told.step_megapixels, told.worker_seconds) == pytest.approx((0.04, 0.011))
    assert (await client.get("/v1/generations")).json()["data"] == []
    assert stored(settings) == []


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"preprocess": "invert"}, 422, "unsupported_field", "/preprocess"),  # no worker has it
        ({"preprocess": "depth"}, 422, "invalid_request", "/preprocess"),
        ({"thresholds": [9, 5]}, 422, "invalid_request", ""),
        ({"thresholds": [0, 5]}, 422, "invalid_request", "/thresholds/0"),
        ({"width": 4097}, 422, "invalid_request", "/width"),
        ({"width": 4000, "height": 4000}, 422, "image_too_large", "/width"),
        ({"width": 4000}, 422, "image_too_large", "/height"),
        ({"output_quality": 5}, 422, "unsupported_field", "/output_quality"),
        ({"image": "file_none"}, 422, "file_gone", ""),
        ({"image": "data:image/png;base64,AAAA"}, 422, "unsupported_image", "/image"),
        ({"prompt": "a"}, 422, "invalid_request", "/prompt"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    client, preprocessors, settings, body, status, code, field
) -> None:
    answer = await post(client, **body)
    found = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), found
    if field:
        assert field in {one["pointer"] for one in found["errors"]}, found
    assert stored(settings) == []
