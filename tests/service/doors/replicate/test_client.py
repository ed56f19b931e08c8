"""Replicate's own client over HTTP, with a worker that draws nothing."""

import io
import threading
from collections.abc import Iterator

import httpx
import pytest

from latentry.contracts import JobStatus
from latentry.errors import EngineError
from latentry.ledger import Ledger
from latentry.settings import Settings
from service.__main__ import bind, server
from tests.hostile.pictures import encoded
from tests.service.fake import PICTURE, FakeWorker
from tests.service.hanging_up import hang_up
from tests.service.keys import issue

replicate = pytest.importorskip("replicate", reason="Replicate's client is not installed")
from replicate.exceptions import ModelError, ReplicateError  # noqa: E402
from replicate.helpers import FileOutput  # noqa: E402

MODEL = "latentry/shapes"
PHOTO = encoded("PNG", size=(128, 128))


@pytest.fixture
def sdk(url: str) -> Iterator[replicate.Client]:
    client = replicate.Client("any", base_url=f"{url}/replicate")
    client.poll_interval = 0.01
    yield client
    client._client.close()


class BehindTls(httpx.HTTPTransport):
    """A proxy that ends TLS: `https://gateway` is the gateway at another address."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._at = {"scheme": "http", "host": "127.0.0.1", "port": port}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert (request.url.scheme, request.url.host) == ("https", "gateway")
        request.url = request.url.copy_with(**self._at)
        return super().handle_request(request)


@pytest.fixture
def behind_tls(settings: Settings, ledger: Ledger) -> Iterator[replicate.Client]:
    key = issue(ledger)
    listening = bind("127.0.0.1", 0)
    running = server(settings.model_copy(update={"public_url": "https://gateway"}))
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    transport = BehindTls(listening.getsockname()[1])
    client = replicate.Client(key.text, base_url="https://gateway/replicate", transport=transport)
    yield client
    client._client.close()
    running.should_exit = True
    thread.join()


def test_run_gives_files_that_can_be_read(sdk, worker: FakeWorker) -> None:
    with worker:
        for ref in (MODEL, f"{MODEL}:shapes"):
            output = sdk.run(ref, input={"prompt": "a", "num_outputs": 2})
            assert [type(one) for one in output] == [FileOutput, FileOutput]
            assert [one.read() for one in output] == [PICTURE, PICTURE]


def test_behind_https_it_reads_them_with_its_token(behind_tls, worker: FakeWorker) -> None:
    with worker:
        [output] = behind_tls.run(MODEL, input={"prompt": "a"})
        assert output.url.startswith("https://gateway/v1/files/acme/")
        assert (output.read(), b"".join(output)) == (PICTURE, PICTURE)
        chained = behind_tls.predictions.list().results[0]
        assert chained.output[0].startswith("https://gateway/v1/files/acme/")


def test_run_polls_one_that_takes_longer_than_it_waits(sdk, worker: FakeWorker) -> None:
    def finish() -> None:
        lease = worker.claim()
        worker.step(lease, 3)
        worker.finish(lease)

    later = threading.Timer(1.5, finish)
    later.start()
    [output] = sdk.run(MODEL, input={"prompt": "a"}, wait=1)
    later.join()
    assert output.read() == PICTURE


def test_run_without_waiting_polls_too(sdk, worker: FakeWorker) -> None:
    with worker:
        [output] = sdk.run(MODEL, input={"prompt": "a"}, wait=False)
    assert output.read() == PICTURE


def test_a_failed_one_raises_with_its_prediction(sdk, worker: FakeWorker) -> None:
    worker.fails_with = EngineError()
    with worker, pytest.raises(ModelError, match=EngineError().message) as failed:
        sdk.run(MODEL, input={"prompt": "a"})
    assert failed.value.prediction.status == "failed"


def test_a_refusal_says_which_input_and_why(sdk, worker: FakeWorker) -> None:
    with pytest.raises(ReplicateError) as refused:
        sdk.run(MODEL, input={"prompt": "a", "width": 100})
    assert refused.value.status == 422
    assert refused.value.title == "Input validation failed"
    assert refused.value.detail.startswith("- input.width: ")
    with pytest.raises(ReplicateError) as unknown:
        sdk.run("stability-ai/sdxl", input={"prompt": "a"})
    assert unknown.value.status == 404


def test_a_prediction_is_followed_and_canceled(sdk, worker: FakeWorker) -> None:
    prediction = sdk.predictions.create(version="shapes", input={"prompt": "a"})
    assert (prediction.status, prediction.output) == ("starting", None)
    lease = worker.claim()
    worker.step(lease, 10)
    prediction.reload()
    assert (prediction.status, prediction.progress.percentage) == ("processing", 0.4)
    prediction.cancel()
    worker.settle(lease, JobStatus.CANCELED)
    prediction.wait()
    assert (prediction.status, prediction.output) == ("canceled", None)


def test_a_client_that_hangs_up_comes_back_to_its_prediction(
    url: str, sdk, worker: FakeWorker, jobs
) -> None:
    body = {"version": "shapes", "input": {"prompt": "a"}}
    hang_up(f"{url}/replicate/v1/predictions", once=jobs, json=body, headers={"Prefer": "wait"})
    [job] = jobs()
    worker.finish(worker.claim())
    assert sdk.predictions.get(job.ref.id).status == "succeeded"


def test_a_stream_gives_the_pictures(sdk, worker: FakeWorker) -> None:
    with worker:
        events = list(sdk.stream(MODEL, input={"prompt": "a", "num_outputs": 2}))
    assert [event.event.value for event in events if event.event.value != "logs"] == [
        "output", "output", "done"
    ]  # fmt: skip
    files = [event.data for event in events if event.event.value == "output"]
    assert [file.read() for file in files] == [PICTURE, PICTURE]


def test_a_stream_of_a_failed_one_raises(sdk, worker: FakeWorker) -> None:
    worker.fails_with = EngineError()
    with worker, pytest.raises(RuntimeError, match=EngineError().message):
        list(sdk.stream(MODEL, input={"prompt": "a"}))


def test_an_open_file_is_uploaded_and_named(sdk, worker: FakeWorker, made) -> None:
    with worker:
        for strategy in ("url", "base64"):
            sdk.run(
                MODEL,
                input={"prompt": "a", "image": io.BytesIO(PHOTO), "prompt_strength": 0.5},
                file_encoding_strategy=strategy,
            )
            assert (made().image.width, made().strength) == (128, 0.5)
    kept = sdk.files.create(io.BytesIO(PHOTO), filename="a.png")
    assert kept.id in {one.id for one in sdk.files.list()}
    assert sdk.files.get(kept.id).urls["get"] == kept.urls["get"]
    assert sdk.files.delete(kept.id)


def test_models_pages_and_the_account_are_read(sdk, worker: FakeWorker, monkeypatch) -> None:
    monkeypatch.setattr("service.doors.replicate.predictions._PAGE", 1)
    with worker:
        ids = {sdk.predictions.create(version="shapes", input={"prompt": "a"}).id for _ in "ab"}
    pages = list(replicate.pagination.paginate(sdk.predictions.list))
    assert {one.id for page in pages for one in page} == ids
    model = sdk.models.get(MODEL)
    assert (model.id, model.latest_version.id) == (MODEL, "shapes")
    assert [one.id for one in model.versions.list()] == ["shapes"]
    assert [one.id for one in sdk.models.list()] == [MODEL]
    assert sdk.accounts.current().username == "default"


async def test_its_asyncio_calls_do_the_same(sdk, worker: FakeWorker) -> None:
    with worker:
        [output] = await sdk.async_run(MODEL, input={"prompt": "a"})
    assert await output.aread() == PICTURE
    await sdk._async_client.aclose()
