"""ControlNets through the whole service: the bundled one, a picture to follow, and the pixels."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from latentry.client import ApiError, Client
from latentry.contracts import Job, JobKind, Output, OutputKind
from tests.e2e.processes import Stack

PROMPT = "a red circle on a white background"
SIDE = 128


@pytest.fixture
def stack(adapted: Stack) -> Stack:
    return adapted


def photo() -> Image.Image:
    """A black disc in a corner, in a picture of another size than what is drawn."""
    image = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(image).ellipse((24, 36, 144, 156), fill="black")
    return image


def pixels(client: Client, output: Output) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.download(output))).convert("RGB")).astype(int)


def middle_of_red(picture: np.ndarray) -> tuple[float, float]:
    y, x = np.nonzero((picture[..., 0] > 150) & (picture[..., 1] < 100))
    assert len(y) > 100, "something is red"
    return y.mean(), x.mean()


def drawn(client: Client, *controls: dict, **fields: object) -> Job:
    fixed = {"seed": 5, "determinism": "strict", "num_inference_steps": 8, "guidance_scale": 4.0}
    fixed |= {"width": SIDE, "height": SIDE, "model": "shapes"}
    return client.generate(PROMPT, controls=list(controls), **(fixed | fields))


def test_an_image_follows_its_picture_whose_edges_are_an_output(client: Client) -> None:
    edges = {"id": "outlines", "image": photo(), "preprocess": "canny"}
    job = drawn(client, edges, output_format="jpeg")
    expected = 96 * SIDE / 300, 84 * SIDE / 300
    assert np.abs(np.subtract(middle_of_red(pixels(client, job.images[0])), expected)).max() < 6

    [used] = job.request.controls
    assert (used.id, used.weight, used.preprocess) == ("Outlines", 1.0, "canny")
    assert (used.image.width, used.image.height) == (300, 300)
    [shown] = [one for one in job.outputs if one.kind is OutputKind.CONTROL]
    assert (shown.name, shown.content_type) == ("control-1", "image/png")
    seen = pixels(client, shown)
    assert seen.shape == (SIDE, SIDE, 3)
    assert set(np.unique(seen)) == {0, 255}, "edges are not blurred by a JPEG"
    assert len(job.images) == 1


def test_what_it_is_shown_can_be_made_before_and_sent_as_it_is(client: Client) -> None:
    alone = client.control(photo(), preprocess="canny", width=SIDE, height=SIDE)
    assert alone.kind is JobKind.CONTROL
    assert (alone.request.steps, alone.images[0].width) == (4, SIDE)
    within = drawn(client, {"id": "outlines", "image": photo(), "preprocess": "canny"})
    [shown] = [one for one in within.outputs if one.kind is OutputKind.CONTROL]
    assert alone.images[0].pixel_sha256 == shown.pixel_sha256
    edges = client.download(alone.images[0])
    after = drawn(client, {"id": "outlines", "image": edges})
    assert after.images[0].pixel_sha256 == within.images[0].pixel_sha256
    again = client.control(**json.loads(Image.open(io.BytesIO(edges)).info["latentry"]))
    assert again.images[0].pixel_sha256 == alone.images[0].pixel_sha256
    assert again.images[0].profile == alone.images[0].profile


def test_weight_0_is_absent_to_the_bit_and_shows_nothing(client: Client) -> None:
    few = {"num_inference_steps": 2}
    job = drawn(client, {"id": "Outlines", "image": photo(), "weight": 0.0}, **few)
    assert job.images[0].pixel_sha256 == drawn(client, **few).images[0].pixel_sha256
    assert [one.kind for one in job.outputs] == [OutputKind.IMAGE]


def test_an_answer_s_request_draws_it_again(client: Client) -> None:
    control = {"id": "Outlines", "image": photo(), "weight": 0.7, "end": 0.7, "mode": "control"}
    inverted = {"id": "Outlines", "image": photo(), "preprocess": "invert", "mode": "guess"}
    job = drawn(client, control, inverted, num_inference_steps=3)
    again = client.generate(**job.request.model_dump(mode="json", exclude_none=True))
    assert again.request.controls == job.request.controls
    assert again.images[0].pixel_sha256 == job.images[0].pixel_sha256
    assert sorted(one.name for one in again.outputs) == ["", "control-1", "control-2"]


def test_what_is_refused_names_its_field(client: Client) -> None:
    with pytest.raises(ApiError) as unknown:
        drawn(client, {"id": "depth", "image": photo()})
    assert (unknown.value.status, unknown.value.code) == (422, "unknown_adapter")
    with pytest.raises(ApiError) as broken:
        drawn(client, {"id": "Outlines", "image": b"no picture"})
    assert [one.pointer for one in broken.value.errors or ()] == ["/controls/0/image"]


def test_the_catalogue_says_what_it_is(client: Client) -> None:
    [entry] = [one for one in client.adapters() if one.kind == "controlnet"]
    assert (entry.id, entry.kind, entry.family) == ("Outlines", "controlnet", "SD 1.x")
    assert entry.models == ("shapes", "merged")
