"""Image prompts through the whole service: a file and its encoder in a folder, pictures, pixels."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentry.client import ApiError, Client
from latentry.contracts import Adapter, Job
from tests import modes
from tests.e2e.processes import Stack, until
from tests.worker.engine.adapters.ip_adapter import pasted

PROMPT = "a red circle on a blue background"
FIELDS = {"model": "shapes", "seed": 3, "determinism": "strict", "num_inference_steps": 3}


@pytest.fixture
def stack(adapted: Stack) -> Stack:
    return adapted


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return [modes.png(modes.pictures(seed)["image"]) for seed in (1, 2)]


def pixels(client: Client, job: Job) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.download(job.images[0])))).astype(int)


def adapters(client: Client) -> list[Adapter]:
    return [one for one in client.adapters() if one.kind == "ip_adapter"]


def difference(client: Client, one: Job, other: Job) -> int:
    return int(np.abs(pixels(client, one) - pixels(client, other)).max())


def test_an_image_is_drawn_after_pictures(
    client: Client, photos: list[bytes], tmp_path: Path
) -> None:
    (path := tmp_path / "photo.png").write_bytes(photos[0])
    plain = client.generate(PROMPT, **FIELDS)
    job = client.generate(
        PROMPT, image_prompts=[{"id": "ip-adapter", "image": path, "weight": 0.6}], **FIELDS
    )
    assert difference(client, job, plain) > 20
    [prompt] = job.request.image_prompts
    again = [{"id": "IP-ADAPTER", "image": prompt.image.file, "weight": 0.6}]
    assert not difference(client, client.generate(PROMPT, image_prompts=again, **FIELDS), job)
    other = [{"id": "ip-adapter", "image": photos[1], "weight": 0.6}]
    assert difference(client, client.generate(PROMPT, image_prompts=other, **FIELDS), job) > 20
    both = [{"id": "ip-adapter-plus", "image": one, "weight": 0.4} for one in photos]
    assert difference(client, client.generate(PROMPT, image_prompts=both, **FIELDS), job) > 20
    absent = [{"id": "ip-adapter", "image": photos[0], "weight": 0.0}]
    assert not difference(client, client.generate(PROMPT, image_prompts=absent, **FIELDS), plain)
    recipe = job.request.model_dump(mode="json", exclude_none=True)
    assert not difference(client, client.generate(**recipe), job)
    file = Image.open(io.BytesIO(client.download(job.images[0])))
    line = f'Image prompts: "ip-adapter [{prompt.sha256[:12]}]: 0.6 {prompt.image.pixel_sha256}"'
    assert line in file.text["parameters"]  # type: ignore[attr-defined]


def test_the_catalogue_says_what_there_is(client: Client) -> None:
    plain, plus = adapters(client)
    assert [(one.id, one.kind) for one in (plain, plus)] == [
        ("ip-adapter", "ip_adapter"),
        ("ip-adapter-plus", "ip_adapter"),
    ]
    assert (plain.family, plain.models, plain.networks) == (
        "SD 1.x",
        ("shapes", "merged"),
        ("unet",),
    )


def test_another_encoder_is_another_adapter(
    client: Client, photos: list[bytes], gallery: Path
) -> None:
    before = adapters(client)[0].sha256
    shown = [{"id": "ip-adapter", "image": photos[0], "sha256": before}]
    pasted.image_encoder(gallery / "models" / "image_encoder", seed=5)
    until(lambda: adapters(client)[0].sha256 != before, what="seeing the new encoder")
    with pytest.raises(ApiError) as changed:
        client.submit(PROMPT, image_prompts=shown, **FIELDS)
    assert (changed.value.status, changed.value.code) == (422, "adapter_changed")
    del shown[0]["sha256"]
    assert client.generate(PROMPT, image_prompts=shown, **FIELDS).images
