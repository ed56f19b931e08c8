"""What clients return: images that are read, saved and opened, whatever became of their URLs."""

import copy
import io
import pickle

import pytest
from PIL import Image as Pillow

from latentry import ApiError, ConfigurationError, Image, JobDidNotSucceed, LatentryError, contracts
from latentry.client.results import JobList, Output
from latentry.client.saving import clip_path, targets
from latentry.contracts import EventType, JobError, OutputKind
from latentry.errors import JobFailed
from latentry.testing import FakeService
from tests.latentry.client.conftest import image, job, json_response, problem


@pytest.fixture
def fake():
    return FakeService()


def opened(data):
    return Pillow.open(io.BytesIO(data))


def test_an_image_is_read_saved_and_opened_by_itself(fake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with fake.client() as client:
        job = client.generate("a red circle", n=2, width=128, height=64)
        image = job.images[1]
        assert image.pil().size == (128, 64)
        assert image.save("one.png").read_bytes() == image.read() == client.download(image)
        assert image.save().name == "1.png"
        assert [path.name for path in job.save("star.png")] == ["star-1.png", "star-2.png"]
        shown = []
        monkeypatch.setattr(Pillow.Image, "show", lambda one: shown.append(one.size))
        image.show()
    assert shown == [(128, 64)]


async def test_an_image_of_the_asyncio_client_is_awaited(fake, tmp_path):
    async with fake.async_client() as client:
        job = await client.generate("a red circle", width=64, height=64)
        image = job.images[0]
        assert (await image.apil()).size == (64, 64)
        saved = await image.asave(tmp_path / "one.png")
        assert saved.read_bytes() == await image.aread()
        assert [path.name for path in await job.asave(tmp_path / "all.png")] == ["all.png"]
        with pytest.raises(ConfigurationError, match=r"await image\.asave"):
            image.read()


async def test_a_blocking_client_s_image_may_be_awaited_too(fake):
    with fake.client() as client:
        image = client.generate("a red circle").images[0]
        assert await image.aread() == image.read()


@pytest.mark.parametrize("kind", ["images", "outputs"])
def test_an_image_is_read_though_its_url_has_expired(fake, kind):
    with fake.client() as client:
        job = client.generate("a red circle", n=2)
        before = getattr(job, kind)[1].read()
        fake.expire_urls()
        assert getattr(job, kind)[1].read() == before
        assert client.download(job.images[1]) == before
        with pytest.raises(ApiError, match="link_refused"):
            client.download(job.images[1].url)


def test_an_image_of_a_deleted_job_is_gone(fake):
    with fake.client() as client:
        job = client.generate("a red circle")
        client.delete(job)
        with pytest.raises(ApiError, match="job_not_found"):
            job.images[0].read()


async def test_images_outlive_their_client_which_answers_no_more(fake):
    with fake.client() as client:
        job = client.generate("a red circle")
    fake.expire_urls()
    assert job.images[0].read()
    with pytest.raises(ConfigurationError, match="within its `with` block"):
        client.models()
    async with fake.async_client() as client:
        job = await client.generate("a red circle")
    assert await job.images[0].aread()
    with pytest.raises(ConfigurationError, match="within its `with` block"):
        await client.models()


async def test_a_renewed_output_without_a_picture_says_why(caller):
    """A rule may have withheld the picture since its URL was given."""
    output = contracts.Output(**image().model_dump(), name="", kind=OutputKind.IMAGE)
    refused = {"url": "", "error": JobError(code="unsafe_image", message="A rule refused it.")}
    withheld = output.model_copy(update=refused)
    renewed = [json_response(job(outputs=[withheld]))]
    call = caller(json_response(job(outputs=[output])), problem(403, "link_refused"), *renewed)
    found = (await call("get", "job-1")).outputs[0]
    with pytest.raises(JobFailed, match="A rule refused it") as caught:
        await call("download", found)
    assert caught.value.code == "unsafe_image"
    assert len(call.sent) == 3


def test_an_output_without_a_picture_says_why():
    output = Output(
        index=0,
        seed=1,
        width=8,
        height=8,
        content_type="image/png",
        pixel_sha256="",
        url="",
        name="",
        kind=OutputKind.IMAGE,
        error=JobError(code="picture_refused", message="A rule."),
    )
    with FakeService().client() as client, pytest.raises(LatentryError, match="A rule") as caught:
        client.download(output)
    assert caught.value.code == "picture_refused"


def test_jobs_are_copied_pickled_and_compared_by_what_they_say(fake):
    with fake.client() as client:
        job = client.generate("a red circle")
        pickled = pickle.loads(pickle.dumps(job))
        assert job == pickled == copy.deepcopy(job) == client.get(job)
        assert copy.deepcopy(job).images[0].read()
        with pytest.raises(ConfigurationError, match=r"client\.download\(image\)"):
            pickled.images[0].read()
        assert client.download(pickled.images[0]) == job.images[0].read()
    assert contracts.Job.model_validate(job.model_dump()).id == job.id


def test_jobs_and_images_name_themselves_without_prompts_and_signed_urls(fake):
    with fake.client() as client:
        fake.next_job(fails="out_of_memory")
        with pytest.raises(JobDidNotSucceed) as failed:
            client.generate("a secret plan")
        job = client.generate("a secret plan", n=2)
    assert repr(job) == f"Job(id='{job.id}', kind='generation', status='succeeded', images=2)"
    assert "error='out_of_memory'" in str(failed.value.job)
    for text in (str(job), repr(job.images), repr(job.outputs), str(failed.value)):
        assert "secret" not in text
        assert "sig=" not in text


def test_images_of_lists_batches_and_events_can_be_read(fake):
    with fake.client() as client:
        job = client.submit("a red circle")
        events = list(client.events(job))
        images = [event.image for event in events if event.image]
        images += [one for job in client.list() for one in job.images]
        images += [one for result in client.map(["a frog"]) for one in result.images]
    assert len(images) == 3
    assert all(isinstance(image, Image) and image.read() for image in images)


def test_a_stream_shows_previews_and_ends_with_the_job(fake):
    with fake.client() as client:
        events = list(client.stream("a frog"))
        assert fake.calls[0].json["preview_interval"] == 1
        unseen = list(client.stream("a frog", preview_interval=0))
    previews = [event.preview for event in events if event.preview]
    assert previews[0].pil().size == (8, 8)
    assert not any(event.preview for event in unseen)
    assert events[-1].type is EventType.SUCCEEDED
    assert events[-1].job.images[0].read()


def test_a_stream_raises_for_a_job_that_fails(fake):
    fake.next_job(fails="out_of_memory")
    seen = []
    with fake.client() as client, pytest.raises(JobDidNotSucceed, match="out_of_memory"):
        seen.extend(client.stream("a frog"))
    assert {event.type for event in seen} >= {EventType.QUEUED, EventType.STEP}
    assert not any(event.type.is_terminal for event in seen)


async def test_the_asyncio_client_streams_alike(fake):
    async with fake.async_client() as client:
        events = [event async for event in client.stream("a frog")]
        fake.next_job(ends="expired")
        with pytest.raises(JobDidNotSucceed):
            [event async for event in client.stream("a frog")]
    assert events[-1].job.images[0].job_id == events[-1].job.id


def test_a_page_of_the_sdk_has_the_fields_of_the_service_s():
    assert JobList.model_fields.keys() == contracts.JobList.model_fields.keys()


def test_a_folder_that_is_not_there_is_not_taken_for_a_file(fake, tmp_path):
    with fake.client() as client:
        job = client.generate("a red circle")
        for what in (job, job.images[0]):
            with pytest.raises(FileNotFoundError, match="no such folder"):
                what.save(f"{tmp_path}/pictures/")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../above", "/etc/evil"])
def test_a_service_s_name_of_a_job_leads_into_no_other_folder(fake, tmp_path, name):
    with fake.client() as client:
        job = client.generate("a red circle")
    evil = job.model_copy(update={"id": name})
    [(_, image)] = targets(evil, tmp_path)
    assert image.parent == tmp_path
    assert clip_path(tmp_path, evil, job.outputs[0]).parent == tmp_path
