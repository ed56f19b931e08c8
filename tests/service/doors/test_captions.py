"""POST /v1/captions, up to the worker."""

import pytest

from latentry.contracts import CaptionerCard, Estimate, Job, JobKind, JobStatus
from latentry.contracts.catalogue.models import Pace
from latentry.ledger import commands
from tests.service.doors.test_upscales import png
from tests.service.fake import FakeWorker
from tests.service.jobs.test_inputs import stored

CARD = CaptionerCard(
    captioner="blip-base", side=384, pace=Pace(step_megapixel_s=0.5, images_at_once=1)
)


@pytest.fixture
def captioner(worker: FakeWorker) -> None:
    """A live worker that has one."""
    worker.queues = ["shapes", CARD.queue]
    worker.ledger.run(commands.heartbeat("fake", worker.queues, ttl_s=60))
    worker.ledger.run(commands.register_model(CARD))


async def post(client, headers=None, **body):
    return await client.post("/v1/captions", json={"image": png()} | body, headers=headers)


async def test_without_one_the_setting_is_named(client) -> None:
    answer = await post(client)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_model")
    assert "LATENTRY_CAPTIONER" in answer.json()["detail"]
    assert (await client.get("/v1/capabilities")).json()["captioner"] is None


async def test_capabilities_name_it(client, captioner) -> None:
    found = (await client.get("/v1/capabilities")).json()
    assert found["captioner"] == "blip-base"
    assert "caption" in found["kinds"]


async def test_the_words_are_the_jobs(client, worker, captioner, caplog) -> None:
    with worker:
        answer = await post(client, {"Prefer": "wait=20"})
    assert answer.status_code == 200, answer.text
    job = Job.model_validate_json(answer.content)
    assert (job.kind, job.status, job.caption) == (
        JobKind.CAPTION,
        JobStatus.SUCCEEDED,
        "a red circle",
    )
    assert (job.images, job.outputs) == ([], [])
    assert "red circle" not in repr(job)
    read = (await client.get(f"/v1/generations/{job.id}")).json()
    assert read["caption"] == "a red circle"
    events = (await client.get(f"/v1/generations/{job.id}/events")).text
    assert "event: output" not in events
    assert "a red circle" in events.rpartition("event: succeeded")[2]
    assert (await client.delete(f"/v1/generations/{job.id}")).status_code == 204
    assert (await client.get(f"/v1/generations/{job.id}")).status_code == 404


async def test_another_job_has_no_such_field(client, worker) -> None:
    answer = await client.post("/v1/generations", json={"prompt": "a"})
    assert "caption" not in answer.json()


async def test_it_is_paid_for_and_counts_as_no_image(client, worker, captioner) -> None:
    with worker:
        job = (await post(client, {"Prefer": "wait=20"})).json()
    [day] = (await client.get("/v1/usage")).json()["data"]
    assert day["images"] == 0
    assert day["step_megapixels"] == pytest.approx(job["cost"]["step_megapixels"])


async def test_its_cost_is_of_all_tokens_whatever_the_picture(client, captioner, settings) -> None:
    few = Estimate.model_validate_json((await post(client, dry_run=True, max_tokens=1)).content)
    expected = (384 * 384 + 16 * 384) / 1e6
    assert few.cost.step_megapixels == pytest.approx(expected)
    assert few.cost.worker_seconds == pytest.approx(expected / 2, abs=0.001)
    more = Estimate.model_validate_json((await post(client, dry_run=True)).content)
    assert more.cost.step_megapixels == pytest.approx(expected + 39 * 16 * 384 / 1e6)
    assert stored(settings) == []


async def test_its_request_can_be_sent_again(client, captioner) -> None:
    first = (await post(client, max_tokens=7, metadata={"a": "b"})).json()
    again = {name: one for name, one in first["request"].items() if name != "steps"}
    assert first["request"]["steps"] == 8
    assert (await client.post("/v1/captions", json=again)).json()["request"] == first["request"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_tokens": 65}, "/max_tokens"),
        ({"max_tokens": 0}, "/max_tokens"),
        ({"output_format": "png"}, "/output_format"),
        ({"image": "data:image/png;base64,AAAA"}, "/image"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(client, captioner, settings, body, field) -> None:
    answer = await post(client, **body)
    assert answer.status_code == 422
    assert field in {one["pointer"] for one in answer.json()["errors"]}
    assert stored(settings) == []
