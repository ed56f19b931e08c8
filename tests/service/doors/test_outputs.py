"""A job's `outputs`: what it stored besides its images, as a client sees it."""

from typing import Any

import httpx
import pytest

from latentry.client import Client
from latentry.contracts import EventType, Job, JobStatus, OutputKind
from latentry.ledger import Lease
from tests.service.fake import PICTURE, FakeWorker

WANTED = {"prompt": "a red circle", "num_inference_steps": 10, "intermediates": {"every": 5}}


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post("/v1/generations", json=WANTED | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


async def read(client: httpx.AsyncClient, id: str) -> Job:
    return Job.model_validate_json((await client.get(f"/v1/generations/{id}")).content)


def finish(worker: FakeWorker, lease: Lease) -> None:
    """Its steps come late and in disorder, as uploads do."""
    worker.draw(lease)
    for step in (10, 5):
        for kind in (OutputKind.PREDICTED, OutputKind.LATENT):
            worker.draw(lease, name=f"{kind.value}-{step:04d}", kind=kind, step=step)
    worker.settle(lease)


async def test_outputs_are_listed_in_order_with_links_that_work(client, worker) -> None:
    job = await create(client)
    assert job.request.intermediates is not None
    assert job.request.intermediates.kinds == ("latent", "predicted")
    finish(worker, worker.claim())
    done = await read(client, job.id)
    assert done.status is JobStatus.SUCCEEDED
    assert [(one.kind, one.step, one.name) for one in done.outputs] == [
        ("latent", 5, "latent-0005"),
        ("predicted", 5, "predicted-0005"),
        ("latent", 10, "latent-0010"),
        ("predicted", 10, "predicted-0010"),
        ("image", None, ""),
    ]
    assert [image.index for image in done.images] == [0]
    assert len({one.url for one in done.outputs}) == 5
    assert done.outputs[-1].url.partition("?")[0] == done.images[0].url.partition("?")[0]
    for output in done.outputs:
        picture = await client.get(output.url)
        assert (picture.status_code, picture.content) == (200, PICTURE)


async def test_outputs_go_with_their_job(client, worker) -> None:
    job = await create(client)
    finish(worker, worker.claim())
    outputs = (await read(client, job.id)).outputs
    assert (await client.delete(f"/v1/generations/{job.id}")).status_code == 204
    for output in outputs:
        assert (await client.get(output.url)).status_code == 404


async def test_a_job_without_intermediates_has_its_images_as_outputs(client, worker) -> None:
    job = await create(client, intermediates=None, n=2)
    worker.finish(worker.claim())
    done = await read(client, job.id)
    assert [(one.index, one.kind, one.name) for one in done.outputs] == [
        (0, "image", ""),
        (1, "image", ""),
    ]
    assert [one.url for one in done.outputs] == [image.url for image in done.images]


def test_an_output_is_an_event_of_its_own_and_the_sdk_downloads_it(url, worker) -> None:
    with Client(url) as client:
        job = client.submit(**WANTED)
        lease = worker.claim()
        worker.draw(lease, name="latent-0005", kind=OutputKind.LATENT, step=5)
        worker.draw(lease)
        worker.settle(lease)
        events = list(client.events(job.id))
        kinds = [event.type for event in events]
        assert kinds == ["queued", "running", "output", "image", "succeeded"]
        [output] = [event.output for event in events if event.type is EventType.OUTPUT]
        assert output is not None
        assert (output.kind, output.step) == (OutputKind.LATENT, 5)
        assert client.download(output) == PICTURE
        assert events[-1].job is not None
        assert client.download(events[-1].job.outputs[0]) == PICTURE


@pytest.mark.parametrize(
    ("fields", "code", "pointers"),
    [
        ({"intermediates": {"every": 11}}, "invalid_request", {"/intermediates/every"}),
        (
            {"intermediates": {"every": 1}, "n": 6},
            "too_many_intermediates",
            {"/intermediates/every", "/intermediates/kinds", "/num_inference_steps", "/n"},
        ),
        ({"intermediates": {"every": 0}}, "invalid_request", {"/intermediates/every"}),
        ({"intermediates": {}}, "invalid_request", {"/intermediates/every"}),
        ({"intermediates": {"every": 5, "kinds": []}}, "invalid_request", {"/intermediates/kinds"}),
        (
            {"intermediates": {"every": 5, "kinds": ["frame"]}},
            "invalid_request",
            {"/intermediates/kinds/0"},
        ),
        ({"num_inference_steps": 0}, "invalid_request", {"/intermediates/every"}),
        (
            {"variation_seed": 4},
            "invalid_request",
            {"/variation_seed", "/variation_strength"},
        ),
        ({"variation_strength": 1.5}, "invalid_request", {"/variation_strength"}),
        (
            {"variation_strength": 0.5, "variation_seed": 2**53 - 1, "n": 2},
            "invalid_request",
            {"/variation_seed"},
        ),
    ],
)
async def test_what_cannot_be_stored_or_varied_is_refused_by_name(
    client: httpx.AsyncClient,
    worker: FakeWorker,
    fields: dict[str, Any],
    code: str,
    pointers: set[str],
) -> None:
    answer = await client.post("/v1/generations", json=WANTED | fields)
    assert answer.status_code == 422, answer.text
    said = answer.json()
    assert said["code"] == code
    assert {one["pointer"] for one in said["errors"]} == pointers


async def test_a_dry_run_counts_every_intermediate(client, worker) -> None:
    costs = []
    for wanted in (None, {"every": 5, "kinds": ["latent"]}, {"every": 5}):
        answer = await client.post(
            "/v1/generations", json=WANTED | {"intermediates": wanted, "dry_run": True}
        )
        costs.append(answer.json()["cost"]["step_megapixels"])
    call = 128 * 128 / 1e6
    assert costs == pytest.approx([10 * call, 12 * call, 14 * call])


async def test_no_steps_are_a_job_whose_progress_is_none_of_none(client, worker) -> None:
    job = await create(client, num_inference_steps=0, intermediates=None)
    lease = worker.claim()
    worker.step(lease, 0)
    running = await read(client, job.id)
    assert running.progress is not None
    assert (running.progress.step, running.progress.steps) == (0, 0)
    worker.finish(lease)
    assert (await read(client, job.id)).status is JobStatus.SUCCEEDED
