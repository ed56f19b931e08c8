"""The SDK and other people's clients against the running service."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from latentry.client import ApiError, AsyncClient, Client, JobDidNotSucceed
from latentry.contracts import EventType, JobStatus
from tests.e2e.processes import Stack, until


def test_events_follow_the_steps_to_the_end(client: Client) -> None:
    job = client.submit("a red star", num_inference_steps=100)
    events = list(client.events(job.id))
    kinds = [event.type for event in events]
    assert kinds[0] is EventType.QUEUED
    assert kinds[-1] is EventType.SUCCEEDED
    assert EventType.RUNNING in kinds
    assert EventType.IMAGE in kinds
    steps = [event.progress.step for event in events if event.progress]
    assert steps
    assert steps == sorted(steps)
    assert events[-1].job is not None
    assert events[-1].job.images[0].url.startswith("http")


def test_an_estimate_is_the_cost_that_is_charged(client: Client) -> None:
    fields = {"num_inference_steps": 12, "n": 2}
    estimate = client.estimate("a red star", **fields)
    job = client.generate("a red star", **fields)
    assert job.cost is not None
    assert estimate.cost.step_megapixels == job.cost.step_megapixels > 0
    with pytest.raises(ApiError, match="at most 3 layers") as refusal:
        client.estimate("a red star", clip_skip=12)
    assert refusal.value.status == 422


def test_previews_converge_to_the_picture_and_change_no_pixel(client: Client) -> None:
    fields = {"seed": 4, "n": 2, "num_inference_steps": 60, "determinism": "strict"}
    unseen = client.generate("a red circle on a blue background", **fields)
    job = client.submit("a red circle on a blue background", preview_interval=1, **fields)
    events = list(client.events(job.id))
    shown = [event.preview for event in events if event.preview]
    assert {preview.index for preview in shown} == {0, 1}
    assert shown == sorted(shown, key=lambda preview: preview.step)
    end = events[-1].job
    assert end is not None
    hashes = [image.pixel_sha256 for image in unseen.images]
    assert [image.pixel_sha256 for image in end.images] == hashes
    last = shown[-1]
    small = Image.open(io.BytesIO(base64.b64decode(last.url.partition(",")[2])))
    picture = Image.open(io.BytesIO(client.download(end.images[last.index])))
    assert small.size == picture.size
    error = np.asarray(small, dtype=float) - np.asarray(picture)
    assert np.abs(error).mean() < 25


def test_a_stream_resumes_after_the_event_the_client_saw_last(client: Client) -> None:
    job = client.generate("a red star")
    events = list(client.events(job.id))
    rest = list(client.events(job.id, last_event_id=events[1].id))
    assert [event.id for event in rest] == [event.id for event in events[2:]]


def test_a_job_can_be_canceled_while_it_runs(client: Client) -> None:
    job = client.submit("a red star", num_inference_steps=100, n=8)
    for event in client.events(job.id):
        if event.type is EventType.STEP:
            client.cancel(job.id)
            break
    assert client.wait(job.id, timeout_s=20).status is JobStatus.CANCELED


def test_generate_raises_for_a_canceled_job(client: Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.generate, "a red star", num_inference_steps=100, n=8)
        until(lambda: not client.list(limit=1).data[0].status.is_terminal, what="the job")
        client.cancel(client.list(limit=1).data[0].id)
        with pytest.raises(JobDidNotSucceed) as ended:
            waiting.result()
    assert ended.value.job.status is JobStatus.CANCELED


def test_a_deleted_job_takes_its_pictures_along(client: Client) -> None:
    job = client.generate("a red star")
    client.delete(job.id)
    with pytest.raises(ApiError) as refused:
        client.get(job.id)
    assert refused.value.code == "job_not_found"
    assert httpx.get(job.images[0].url).status_code == 404


def test_the_list_has_the_newest_first(client: Client) -> None:
    ids = [client.submit("a frog", num_inference_steps=1).id for _ in range(3)]
    page = client.list(limit=3)
    assert [job.id for job in page.data] == ids[::-1]
    assert page.next_cursor is not None


async def test_the_asyncio_client_does_the_same(stack: Stack) -> None:
    async with AsyncClient(stack.url) as client:
        job = await client.generate("a green heart", seed=2)
        data = await client.download(job.images[0])
        assert Image.open(io.BytesIO(data)).size == (128, 128)
        assert (await client.models()).data[0].id == "shapes"


def test_openais_client_gets_a_url_by_default_and_base64_when_asked(stack: Stack) -> None:
    client = openai.OpenAI(base_url=f"{stack.url}/v1", api_key="any")
    by_url = client.images.generate(prompt="a red circle on a blue background", n=2)
    assert by_url.data is not None
    assert len(by_url.data) == 2
    assert Image.open(io.BytesIO(httpx.get(by_url.data[0].url or "").content)).size == (128, 128)
    inline = client.images.generate(
        prompt="a red circle",
        size="160x96",  # type: ignore[arg-type]
        response_format="b64_json",
        extra_body={"seed": 5, "num_inference_steps": 4},
    )
    assert inline.data is not None
    picture = Image.open(io.BytesIO(base64.b64decode(inline.data[0].b64_json or "")))
    assert picture.size == (160, 96)


def test_openais_client_understands_our_refusals(stack: Stack) -> None:
    client = openai.OpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0)
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt="a red circle", size="1000x1000")
    assert refused.value.code == "unsupported_size"
    assert [model.id for model in client.models.list()] == ["shapes"]
