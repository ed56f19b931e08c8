"""Image prompts through the whole service: a file and its encoder in a folder, pictures, pixels."""

import base64
import io
from pathlib import Path

import numpy as np
import openai
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


def test_a_further_picture_of_openais_edit_is_the_native_image_prompt(
    client: Client, stack: Stack, photos: list[bytes]
) -> None:
    own = FIELDS | {"provenance": "none"}
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0) as sdk:

        def edited(pictures: list[bytes], **more: object) -> bytes:
            answer = sdk.images.edit(
                image=pictures, prompt=PROMPT, model="shapes", size="128x128",
                response_format="b64_json",
                extra_body={name: value for name, value in own.items() if name != "model"} | more,
            )  # fmt: skip
            return base64.b64decode(answer.data[0].b64_json or "")

        both, alone = edited(photos), edited(photos[:1])
        plus = edited(photos, reference_adapter="ip-adapter-plus", reference_weight=0.3)
        stream = sdk.images.edit(
            image=photos, prompt=PROMPT, model="shapes", size="128x128", stream=True,
            extra_body={name: value for name, value in own.items() if name != "model"},
        )  # fmt: skip
        assert base64.b64decode(list(stream)[-1].b64_json) == both
    assert len({both, alone, plus}) == 3, "the reference changes the picture"
    for drawn, id, weight in ((both, "ip-adapter", 0.6), (plus, "ip-adapter-plus", 0.3)):
        native = client.generate(
            PROMPT, image=photos[0], width=128, height=128, resize_mode="crop",
            prompt_syntax="plain", **own,
            image_prompts=[{"id": id, "image": photos[1], "weight": weight}],
        )  # fmt: skip
        assert client.download(native.images[0]) == drawn


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
