"""A picture goes in, a larger one comes out."""

import io

import httpx
import numpy as np
from PIL import Image

from latentry.client import Client
from latentry.contracts import Job, JobKind, JobStatus
from tests.e2e.processes import Stack


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)


def upscale(stack: Stack, **body: object) -> httpx.Response:
    return httpx.post(
        f"{stack.url}/v1/upscales", json=body, headers={"Prefer": "wait=30"}, timeout=60
    )


def test_lanczos_without_any_configuration(stack: Stack, client: Client) -> None:
    file = client.upload(png(gradient(96, 64)))
    answer = upscale(stack, image=file.id, scale=2.5)
    assert answer.status_code == 200, answer.text
    job = Job.model_validate_json(answer.content)
    assert (job.kind, job.status) == (JobKind.UPSCALE, JobStatus.SUCCEEDED)
    pixels = np.asarray(Image.open(io.BytesIO(client.download(job.images[0]))))
    expected = Image.fromarray(gradient(96, 64)).resize((160, 240), Image.Resampling.LANCZOS)
    assert np.array_equal(pixels, np.asarray(expected))
