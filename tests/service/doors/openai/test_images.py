"""OpenAI's door, through OpenAI's own client."""

import asyncio
import base64
from collections.abc import Sequence

import httpx
import openai
import pytest

from latentry.errors import OutOfMemory
from latentry.ledger import JobRecord, commands
from service.doors.openai import drawing
from tests.service.fake import PICTURE, FakeWorker
from tests.service.hanging_up import hang_up

PATH = "/v1/images/generations"


@pytest.fixture
def sdk(url: str):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client


def test_a_picture_comes_as_a_url_by_default(sdk: openai.OpenAI, worker: FakeWorker) -> None:
    with worker:
        answer = sdk.images.generate(model="dall-e-3", prompt="a red circle", size="auto")
    [picture] = answer.data
    assert picture.b64_json is None
    assert httpx.get(picture.url).content == PICTURE
    assert answer.created > 0


def test_a_picture_comes_as_base64_on_request(sdk: openai.OpenAI, worker: FakeWorker) -> None:
    with worker:
        answer = sdk.images.generate(prompt="a", n=3, response_format="b64_json")
    assert [base64.b64decode(picture.b64_json) for picture in answer.data] == [PICTURE] * 3
    assert all(picture.url is None for picture in answer.data)


@pytest.mark.parametrize(
    ("model", "asked", "form"),
    [
        ("gpt-image-1", None, "b64_json"),
        ("gpt-image-2.5-flare", None, "b64_json"),
        ("chatgpt-image-latest", None, "b64_json"),
        ("gpt-image-2", "url", "url"),
        ("dall-e-2", None, "url"),
        ("dall-e-3", "b64_json", "b64_json"),
        ("shapes", None, "url"),
        (None, None, "url"),
    ],
)
async def test_the_name_of_the_model_says_what_its_clients_expect(
    client, worker: FakeWorker, model, asked, form
) -> None:
    body = {"prompt": "a", "model": model, "response_format": asked}
    with worker:
        answer = await client.post(PATH, json=body)
    assert set(answer.json()["data"][0]) == {form, "seed"}


def test_brackets_are_literal_unless_requested_otherwise(sdk: openai.OpenAI, worker) -> None:
    with worker:
        sdk.images.generate(prompt="(a frog:99)")
        sdk.images.generate(prompt="(a frog:1.3)", extra_body={"prompt_syntax": "weighted"})
    records = worker.ledger.run(commands.list_jobs("default", below=None, limit=2))
    assert {record.request.prompt_syntax for record in records} == {"plain", "weighted"}


def test_our_own_fields_pass_at_the_top_level(sdk: openai.OpenAI, worker: FakeWorker) -> None:
    extra = {
        "seed": 11,
        "num_inference_steps": 3,
        "guidance_scale": 2,
        "negative_prompt": "blue",
        "sampler": "Euler",
        "spacing": "SGM Uniform",
        "guidance_rescale": 0.7,
        "guidance_stop": 0.5,
        "cache_interval": 2,
        "clip_skip": 1,
        "determinism": "strict",
        "unheard_of": {"nested": [1]},
    }
    with worker:
        answer = sdk.images.generate(
            model="shapes",
            prompt="a",
            n=2,
            size="160x96",
            output_format="webp",
            quality="hd",
            style="vivid",
            user="u1",
            extra_body=extra,
        )
    assert [picture.seed for picture in answer.data] == [11, 12]
    [record] = worker.ledger.run(commands.list_jobs("default", below=None, limit=1))
    request = record.request
    assert (request.width, request.height, request.num_inference_steps) == (160, 96, 3)
    assert (request.sampler, request.determinism, request.negative_prompt) == (
        "euler",
        "strict",
        "blue",
    )
    assert (request.output_format, request.metadata) == ("webp", {"user": "u1"})
    assert (request.spacing, request.clip_skip, request.cache_interval) == ("sgm_uniform", 1, 2)
    assert (request.guidance_rescale, request.guidance_stop) == (0.7, 0.5)
    assert answer.size == "160x96"


def test_a_name_for_sampler_and_spacing_at_once_means_both(sdk: openai.OpenAI, worker) -> None:
    with worker:
        sdk.images.generate(prompt="a", extra_body={"sampler": "Euler Karras"})
    [record] = worker.ledger.run(commands.list_jobs("default", below=None, limit=1))
    assert (record.request.sampler, record.request.spacing) == ("euler", "karras")


async def test_the_asynchronous_client_works_as_well(url: str, worker: FakeWorker) -> None:
    with worker:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as client:
            answer = await client.images.generate(prompt="a")
    assert len(answer.data) == 1


def test_the_models_are_listed_for_openais_client(sdk: openai.OpenAI, worker) -> None:
    assert [model.id for model in sdk.models.list()] == ["shapes"]
    assert sdk.models.retrieve("shapes").owned_by == "latentry"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("dreams")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 11}, "n"),
        ({"size": "big"}, "size"),
        ({"size": "1024x1024", "model": "shapes"}, "size"),
        ({"size": "1000x1000"}, "size"),
        ({"size": "100x100"}, "size"),
        ({"background": "transparent"}, "background"),
        ({"background": "green"}, "background"),
        ({"output_compression": 150, "output_format": "jpeg"}, "output_compression"),
        ({"output_compression": 50}, "output_compression"),
        ({"output_compression": 50, "output_format": "png"}, "output_compression"),
        ({"partial_images": 2}, "partial_images"),
        ({"extra_body": {"width": 128}}, "size"),
        ({"extra_body": {"preview_interval": 5}}, "preview_interval"),
        ({"extra_body": {"webhook": {"url": "https://a.example/"}}}, "webhook"),
        ({"response_format": "gif"}, "response_format"),
        ({"prompt": "x" * 9_000}, "prompt"),
        ({"stream": True, "response_format": "url"}, "response_format"),
        ({"stream": True, "partial_images": 2}, "partial_images"),
        ({"stream": True, "partial_images": 4}, "partial_images"),
        ({"output_format": "gif"}, "output_format"),
        ({"frame_count": 4}, "frame_count"),
        ({"svg": {"model": "x"}}, "svg"),
        ({"quality": "best"}, "quality"),
        ({"extra_body": {"seed": -1}}, "seed"),
        ({"extra_body": {"sampler": "lcm"}}, "sampler"),
        ({"extra_body": {"sampler": "Euler Z"}}, "sampler"),
        ({"extra_body": {"spacing": "wide"}}, "spacing"),
        ({"extra_body": {"guidance_stop": 0}}, "guidance_stop"),
    ],
)
def test_what_cannot_be_is_refused_in_openais_envelope(sdk, worker, fields, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.images.generate(**{"prompt": "a"} | fields)
    assert refusal.value.param == param
    assert refusal.value.type == "invalid_request_error"
    assert refusal.value.code
    assert refusal.value.body["message"]


def test_an_unknown_model_is_not_found(sdk: openai.OpenAI, worker: FakeWorker) -> None:
    with pytest.raises(openai.NotFoundError) as refusal:
        sdk.images.generate(prompt="a", model="dreams")
    assert (refusal.value.code, refusal.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("model", [None, "dall-e-3", "gpt-image-2"])
@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ("256x256", "192x192"),
        ("1024x1024", "192x192"),
        ("1792x1024", "192x96"),
        ("1024x1536", "128x192"),
        ("128x160", "128x160"),
    ],
)
async def test_openais_sizes_are_wishes_unless_a_model_is_chosen(
    client, worker: FakeWorker, model, size, drawn
) -> None:
    with worker:
        answer = await client.post(PATH, json={"prompt": "a", "model": model, "size": size})
    assert (answer.status_code, answer.json()["size"]) == (200, drawn)


def test_ten_images_come_at_once(sdk: openai.OpenAI, worker: FakeWorker) -> None:
    with worker:
        assert len(sdk.images.generate(prompt="a", n=10).data) == 10


async def test_what_has_no_effect_is_named(client, worker: FakeWorker) -> None:
    body = {
        "prompt": "a",
        "style": "vivid",
        "moderation": "none",
        "complexity": "high",
        "background": "opaque",
        "partial_images": 0,
        "stream": False,
        "cfg": 3,
        "steps": None,
        "a\r\nb": 1,
        "safety_identifier": "u2",
        "output_format": "webp",
        "output_compression": 0,
    }
    with worker:
        answer = await client.post(PATH, json=body)
        plain = await client.post(PATH, json={"prompt": "a"})
    assert answer.headers["X-Ignored-Fields"] == "moderation, complexity, style, cfg"
    assert "X-Ignored-Fields" not in plain.headers
    found = worker.ledger.run(commands.list_jobs("default", below=None, limit=2))
    assert found[1].request.metadata == {"safety_identifier": "u2"}
    assert found[1].request.output_quality == 1


async def test_a_request_with_an_idempotency_key_is_one_job(client, worker: FakeWorker) -> None:
    headers = {"Idempotency-Key": "k1"}
    with worker:
        first = await client.post(PATH, json={"prompt": "a"}, headers=headers)
        again = await client.post(PATH, json={"prompt": "a"}, headers=headers)
        other = await client.post(PATH, json={"prompt": "b"}, headers=headers)
        wrong = await client.post(PATH, json={"prompt": "a"}, headers={"Idempotency-Key": "\t"})
    assert first.json()["data"][0]["seed"] == again.json()["data"][0]["seed"]
    assert len(worker.ledger.run(commands.list_jobs("default", below=None, limit=9))) == 1
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_conflict")
    assert wrong.json()["error"]["code"] == "invalid_idempotency_key"


def test_a_client_that_hangs_up_and_repeats_its_key_gets_the_images(url: str, worker) -> None:
    headers = {"Idempotency-Key": "k1"}
    hang_up(f"{url}{PATH}", once=lambda: jobs(worker), json={"prompt": "a"}, headers=headers)
    with worker:
        answer = httpx.post(f"{url}{PATH}", json={"prompt": "a"}, headers=headers, timeout=20)
    assert answer.status_code == 200
    assert len(worker.ledger.run(commands.list_jobs("default", below=None, limit=9))) == 1


async def test_a_job_with_a_key_outlives_the_wait_for_it(client, worker, monkeypatch) -> None:
    monkeypatch.setattr(drawing, "WITHIN_S", 0.05)
    headers = {"Idempotency-Key": "k1"}
    answer = await client.post(PATH, json={"prompt": "a"}, headers=headers)
    assert answer.status_code == 503
    assert "Idempotency-Key" in answer.json()["error"]["message"]
    [record] = worker.ledger.run(commands.list_jobs("default", below=None, limit=2))
    assert record.state == "queued"


def test_a_failed_job_is_an_error_that_the_client_does_not_repeat(url: str, worker) -> None:
    worker.fails_with = OutOfMemory()
    with (
        worker,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=5) as sdk,
        pytest.raises(openai.InternalServerError) as failure,
    ):
        sdk.images.generate(prompt="a")
    assert failure.value.code == "out_of_memory"
    assert len(worker.ledger.run(commands.list_jobs("default", below=None, limit=10))) == 1


async def test_a_picture_by_value_has_no_url_key_at_all(client, worker: FakeWorker) -> None:
    with worker:
        answer = await client.post(PATH, json={"prompt": "a", "response_format": "b64_json"})
    assert set(answer.json()["data"][0]) == {"b64_json", "seed"}


async def test_a_job_that_expired_in_the_queue_may_be_tried_again(client, worker, ledger) -> None:
    posted = asyncio.create_task(client.post(PATH, json={"prompt": "a"}))
    while not (waiting := ledger.run(commands.list_jobs("default", below=None, limit=1))):
        await client.get("/readyz")
    ledger.client.zadd(f"{ledger.root}:deadlines", {str(waiting[0].ref): 0})
    answer = await asyncio.wait_for(posted, 10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "expired")
    assert int(answer.headers["retry-after"]) > 0


def test_a_client_that_hangs_up_cancels_its_job(url: str, worker: FakeWorker) -> None:
    hang_up(f"{url}{PATH}", once=lambda: jobs(worker), json={"prompt": "a"})
    while jobs(worker)[0].state != "canceled":
        pass


def jobs(worker: FakeWorker) -> Sequence[JobRecord]:
    """The newest first."""
    return worker.ledger.run(commands.list_jobs("default", below=None, limit=9))


async def test_a_job_that_does_not_end_in_time_is_canceled(client, worker, monkeypatch) -> None:
    monkeypatch.setattr(drawing, "WITHIN_S", 0.05)
    answer = await client.post(PATH, json={"prompt": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    [record] = worker.ledger.run(commands.list_jobs("default", below=None, limit=2))
    assert record.state == "canceled"


async def test_a_gateway_that_stops_cancels_jobs_whose_clients_have_no_id(
    app, client, worker
) -> None:
    posted = asyncio.create_task(client.post(PATH, json={"prompt": "a"}))
    while not worker.ledger.run(commands.list_jobs("default", below=None, limit=1)):
        await client.get("/readyz")
    app.state.gateway.stop()
    answer = await asyncio.wait_for(posted, 10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
    [record] = worker.ledger.run(commands.list_jobs("default", below=None, limit=2))
    assert record.state == "canceled"


@pytest.mark.parametrize(
    ("method", "content", "status"),
    [("POST", b"{", 400), ("POST", b"x" * 300_000, 413), ("GET", b"", 405)],
)
async def test_every_error_of_this_door_wears_its_envelope(client, method, content, status) -> None:
    answer = await client.request(
        method, PATH, content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
