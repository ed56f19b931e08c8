"""What a test may say to the fake service, and what its clients then see."""

import httpx
import pytest

from latentry import ApiError, AsyncClient, Client, JobDidNotSucceed, StillRunning, Unreachable
from latentry.contracts import JobStatus
from latentry.testing import FakeService
from latentry.testing.fixtures import latentry_service  # noqa: F401 - as a conftest has it


def test_a_job_succeeds_at_once_if_nothing_else_is_said(fake):
    with fake.client() as client:
        job = client.generate("a red circle", n=2, seed=7)
    assert job.status is JobStatus.SUCCEEDED
    assert [image.seed for image in job.images] == [7, 8]
    assert job.request.num_inference_steps == 25
    assert [call.operation for call in fake.calls] == ["create_generation"]


def test_pictures_have_one_colour_which_follows_from_the_request(fake):
    with fake.client() as client:
        first, again, other = (
            client.generate("a red circle", seed=seed, width=64, height=64) for seed in (1, 1, 2)
        )
        picture = first.images[0].pil()
    assert picture.size == (64, 64)
    assert len(picture.getcolors()) == 1
    hashes = [job.images[0].pixel_sha256 for job in (first, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_pictures_are_of_the_format_that_was_asked_for(fake, form):
    with fake.client() as client:
        [image] = client.generate("a red circle", output_format=form).images
        assert image.pil().format == form.upper()
    assert image.content_type == f"image/{form}"


def test_the_next_job_fails_with_a_code_and_those_after_it_do_not(fake):
    fake.next_job(fails="out_of_memory")
    with fake.client() as client:
        with pytest.raises(JobDidNotSucceed, match="out_of_memory") as failed:
            client.generate("a red circle")
        assert client.generate("a red circle").images
    assert failed.value.job.error.message != ""
    assert failed.value.job.images == []


@pytest.mark.parametrize("polls", [0, 1, 3])
def test_a_job_takes_as_many_polls_as_it_is_told(fake, polls):
    fake.next_job(polls=polls)
    with fake.client() as client:
        job = client.submit("a red circle")
        assert job.status is JobStatus.QUEUED
        seen = [client.get(job).status for _ in range(polls + 1)]
    assert seen == [JobStatus.RUNNING] * polls + [JobStatus.SUCCEEDED]


def test_its_clients_wait_for_nothing_and_note_what_they_would_have_waited(fake):
    fake.next_job(polls=40)
    fake.refuse(429, "rate_limited", retry_after_s=20)
    with fake.client() as client:
        assert client.generate("a red circle").done
    assert 20 <= fake.pauses[0] <= 21
    assert sum(fake.pauses) > 30


def test_a_job_that_takes_longer_than_a_caller_waits(fake):
    fake.next_job(polls=1_000_000)
    with fake.client() as client, pytest.raises(StillRunning):
        client.generate("a red circle", timeout_s=0)


def test_a_refusal_is_for_the_next_call_or_for_one_operation(fake):
    fake.refuse(503, "queue_full", operation="create_generation", retry_after_s=3600)
    with fake.client() as client:
        assert client.models().data
        with pytest.raises(ApiError) as refused:
            client.submit("a red circle")
        assert client.submit("a red circle").id
    assert (refused.value.code, refused.value.retry_after_s) == ("queue_full", 3600)
    assert refused.value.request_id == "req_2"


def test_a_retry_has_the_same_key_and_makes_one_job(fake):
    fake.refuse(503, "queue_full", times=2)
    fake.drop()
    with fake.client() as client:
        client.submit("a red circle")
        client.submit("a red circle", idempotency_key="mine")
        client.submit("a red circle", idempotency_key="mine")
        with pytest.raises(ApiError, match="idempotency_conflict"):
            client.submit("a green frog", idempotency_key="mine")
    keys = [call.request.headers["Idempotency-Key"] for call in fake.calls[:4]]
    assert len(set(keys)) == 1
    assert len(fake.jobs) == 2


def test_a_lost_service_is_unreachable(fake):
    fake.drop(times=5)
    with fake.client() as client, pytest.raises(Unreachable):
        client.models()


def test_a_refusal_of_no_operation_is_a_mistake_of_the_test(fake):
    with pytest.raises(ValueError, match="create_job is no operation"):
        fake.refuse(429, "rate_limited", operation="create_job")


def test_a_key_is_asked_for_where_the_fake_has_one():
    fake = FakeService(api_key="ltk_secret")
    with fake.client() as client:
        assert client.models().data
    with Client(fake.url, transport=fake.transport) as stranger:
        assert stranger.ready().can_draw
        with pytest.raises(ApiError, match="unauthenticated"):
            stranger.models()


def test_a_canceled_job_stays_canceled_and_a_deleted_one_is_not_found(fake):
    fake.next_job(polls=9)
    with fake.client() as client:
        job = client.submit("a red circle")
        assert client.cancel(job).status is JobStatus.CANCELED
        assert client.wait(job).status is JobStatus.CANCELED
        client.delete(job)
        with pytest.raises(ApiError, match="job_not_found"):
            client.get(job)


def test_a_stream_resumes_after_an_event_and_is_empty_after_the_last(fake):
    with fake.client() as client:
        job = client.submit("a red circle")
        ids = [event.id for event in client.events(job) if event.id]
        assert [event.id for event in client.events(job, last_event_id=ids[1])][-1] == ids[-1]
        assert list(client.events(job, last_event_id=ids[-1])) == []


def test_pages_and_filters_find_jobs(fake):
    with fake.client() as client:
        jobs = [client.submit("a frog", metadata={"user": user}) for user in "aba"]
        client.cancel(jobs[0])
        page = client.list(limit=2, count=True)
        assert [job.id for job in page] == [jobs[2].id, jobs[1].id]
        assert (page.count, [job.id for job in client.list(cursor=page.next_cursor)]) == (
            3,
            [jobs[0].id],
        )
        assert [job.id for job in client.list(metadata={"user": "a"}, status="canceled")] == [
            jobs[0].id
        ]
        assert list(client.list(since=jobs[2].created_at, until=jobs[2].created_at)) == []


def test_adapters_and_pictures_are_taken_as_they_come(fake):
    with fake.client() as client:
        file = client.upload(b"\x89PNG picture")
        job = client.generate(
            "a <lora> frog",
            image=file.id,
            mask=b"\x89PNG mask",
            loras=[{"id": "watercolour", "weight": 0.5}],
            controls=[{"id": "canny", "image": "https://shop.example/a.png"}],
            hires={"scale": 2.0},
        )
    assert job.request.image.file == file.id
    assert (job.request.strength, job.request.loras[0].weight) == (1.0, 0.5)
    assert (job.images[0].width, job.images[0].height) == (1024, 1024)


def test_a_file_that_the_fake_made_is_known_as_its_own(fake):
    with fake.client() as client:
        job = client.generate("a red circle")
        assert client.verify(job.images[0].read()).made_here.job == job.id
        assert not client.verify(b"\x89PNG other").made_here.verified


def test_what_the_fake_cannot_make_it_says(fake):
    with fake.client() as client, pytest.raises(ApiError, match=r"makes no MP4.*not_faked"):
        client.clip("a walking frog", output="mp4")


async def test_a_client_of_the_caller_s_own_uses_its_transport(fake):
    async with AsyncClient(fake.url, transport=fake.transport) as client:
        results = await client.map(["a frog", "a star"], concurrency=2)
    assert [job.request.prompt for job in results] == ["a frog", "a star"]


def test_a_program_without_the_sdk_may_use_it_by_httpx(fake):
    with httpx.Client(base_url=fake.url, transport=fake.transport) as plain:
        answer = plain.post("/v1/generations", json={"prompt": "a frog"})
    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.json()["urls"]["self"]


def test_the_fixture_is_a_new_fake(latentry_service):  # noqa: F811
    assert latentry_service.calls == ()
