"""A picture goes in, a larger one comes out."""

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from latentry.client import Client
from latentry.contracts import Job, JobKind, JobStatus
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack, until
from tests.valkey import Valkey
from tests.worker.engine.upscaling import esrgan

_numbers = itertools.count()


@pytest.fixture
def own_stack(valkey: Valkey, tmp_path: Path) -> Iterator[Stack]:
    """A gateway without workers, which serve two networks and are missed soon."""
    folder = tmp_path / "upscalers"
    folder.mkdir()
    esrgan.write(folder / "4x-Repeat.safetensors", esrgan.repeating_weights())
    esrgan.write(folder / "4x-Random.safetensors", esrgan.random_weights())
    soon = {"lease_s": "3", "heartbeat_s": "1", "threads": "1", "upscalers": str(folder)}
    with Stack(settings_for(valkey, tmp_path, f"upscale-{next(_numbers)}", **soon)) as running:
        yield running


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)


def downloaded(client: Client, job: Job) -> Image.Image:
    assert job.status is JobStatus.SUCCEEDED, job.error
    return Image.open(io.BytesIO(client.download(job.images[0])))


def test_lanczos_without_any_configuration(stack: Stack, client: Client) -> None:
    file = client.upload(png(gradient(96, 64)))
    body = {"image": file.id, "scale": 2.5}
    headers = {"Prefer": "wait=60"}
    answer = httpx.post(f"{stack.url}/v1/upscales", json=body, headers=headers, timeout=90)
    assert answer.status_code == 200, answer.text
    job = Job.model_validate_json(answer.content)
    assert job.kind is JobKind.UPSCALE
    picture = downloaded(client, job)
    expected = Image.fromarray(gradient(96, 64)).resize((160, 240), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(picture), np.asarray(expected))
    assert picture.info["parameters"].startswith(
        "Postprocess upscale by: 2.5, Postprocess upscaler: lanczos, Init image: "
    )
    recipe = json.loads(picture.info["latentry"])
    image = recipe.pop("image")
    again = client.upscale(image["file"], **recipe)
    assert again.images[0].pixel_sha256 == job.images[0].pixel_sha256
    assert again.images[0].profile == job.images[0].profile


def test_a_generated_picture_is_enlarged_and_a_transparent_one_is_white(client: Client) -> None:
    circle = client.generate("a red circle on a blue background", seed=7)
    large = downloaded(client, client.upscale(client.download(circle.images[0]), scale=3))
    pixels = np.asarray(large)
    assert pixels.shape == (384, 384, 3)
    assert np.abs(pixels[180:204, 180:204].reshape(-1, 3).mean(0) - (220, 40, 40)).max() < 40
    nothing = png(np.zeros((8, 8, 4), np.uint8))
    white = downloaded(client, client.upscale(nothing, output_format="webp", output_lossless=True))
    assert (np.asarray(white.convert("RGB")) == 255).all()


def test_networks_of_a_folder_enlarge_beside_images(own_stack: Stack) -> None:
    with Client(own_stack.url) as client:
        own_stack.start_worker()
        until(lambda: client.upscalers().data, what="the worker")
        cards = {one.id: one for one in client.upscalers().data}
        assert cards.keys() == {"lanczos", "4x-Repeat", "4x-Random"}
        assert cards["4x-Repeat"].architecture == "ESRGAN"
        images = [client.submit("a red circle", seed=k, num_inference_steps=60) for k in range(3)]
        pixels = gradient(170, 200)
        job = client.upscale(png(pixels), upscaler="4x-repeat", timeout_s=100)
        expected = pixels.repeat(4, 0).repeat(4, 1)
        assert np.array_equal(np.asarray(downloaded(client, job)), expected)
        assert job.request.upscaler == "4x-Repeat"
        assert job.images[0].profile
        assert job.request.steps == 4
        for image in images:
            assert client.wait(image.id, timeout_s=100).status is JobStatus.SUCCEEDED
        pace = {one.id: one.pace for one in client.upscalers().data}["4x-Repeat"]
        assert pace is None or pace.step_megapixel_s > 0


def test_an_upscale_survives_its_worker(own_stack: Stack) -> None:
    with Client(own_stack.url) as client:
        first = own_stack.start_worker()
        file = client.upload(png(gradient(330, 330)))
        fields = {"upscaler": "4x-Random", "scale": 2.0}
        job = client.submit_upscale(file.id, **fields)
        until(
            lambda: (client.get(job.id).progress or 0) and client.get(job.id).progress.step > 2,
            what="some tiles",
        )
        first.kill()
        assert client.get(job.id).status is JobStatus.RUNNING
        own_stack.start_worker()
        done = client.wait(job.id, timeout_s=100)
        picture = downloaded(client, done)
        assert picture.size == (660, 660)
        alone = client.upscale(file.id, **fields)
        assert alone.images[0].pixel_sha256 == done.images[0].pixel_sha256
