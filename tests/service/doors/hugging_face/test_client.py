"""Hugging Face's own client over HTTP, with a worker that draws nothing."""

from pathlib import Path

import pytest

from latentry.errors import EngineError, NoModel
from tests.hostile.pictures import encoded
from tests.service.fake import FakeWorker

hub = pytest.importorskip("huggingface_hub", reason="Hugging Face's client is not installed")

PHOTO = encoded("PNG", size=(128, 128))
DRAWN = encoded("PNG", size=(64, 32))


@pytest.fixture
def sdk(url: str, monkeypatch) -> "hub.InferenceClient":
    monkeypatch.setattr("tests.service.fake.PICTURE", DRAWN)  # which the client opens
    return hub.InferenceClient(f"{url}/hf/shapes", provider="hf-inference", token="any")


def test_text_to_image_gives_an_image(sdk, worker: FakeWorker, made) -> None:
    with worker:
        image = sdk.text_to_image(
            "a hat", negative_prompt="b", width=128, height=96, num_inference_steps=3,
            guidance_scale=2.0, scheduler="EulerDiscreteScheduler", seed=7,
            extra_body={"clip_skip": 1},
        )  # fmt: skip
    assert (image.size, image.format) == ((64, 32), "PNG")
    request = made()
    assert (request.prompt, request.negative_prompt, request.seed) == ("a hat", "b", 7)
    assert (request.width, request.height, request.num_inference_steps) == (128, 96, 3)
    assert (request.sampler, request.clip_skip) == ("euler", 1)


def test_image_to_image_takes_bytes_and_a_path(
    sdk, worker: FakeWorker, made, tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PHOTO)
    with worker:
        for picture in (PHOTO, file):
            image = sdk.image_to_image(picture, prompt="a hat", strength=0.4)
            assert image.size == (64, 32)
            assert (made().prompt, made().strength, made().image.width) == ("a hat", 0.4, 128)
        sdk.image_to_image(PHOTO)  # which is sent as it is
    assert (made().prompt, made().image.width) == ("", 128)


def test_a_size_of_image_to_image_is_obeyed(sdk, worker: FakeWorker, made) -> None:
    size = hub.ImageToImageTargetSize(width=160, height=96)
    with worker:
        sdk.image_to_image(PHOTO, prompt="a hat", target_size=size)
    assert (made().width, made().height) == (160, 96)


def test_its_errors_say_what_is_wrong(sdk, worker: FakeWorker) -> None:
    with pytest.raises(hub.errors.HfHubHTTPError, match=r"parameters\.width: ") as refused:
        sdk.text_to_image("a", width=1024)
    assert refused.value.response.status_code == 422
    worker.fails_with = EngineError()
    with worker, pytest.raises(hub.errors.HfHubHTTPError, match=EngineError().message):
        sdk.text_to_image("a")


def test_it_learns_what_is_served(sdk, worker: FakeWorker) -> None:
    assert sdk.health_check()
    assert sdk.get_endpoint_info()["model_id"] == "shapes"


def test_without_a_model_it_does_not_wait(sdk, ledger) -> None:
    with pytest.raises(hub.errors.HfHubHTTPError, match=NoModel().message[:20]):
        sdk.text_to_image("a")
    assert not sdk.health_check()
