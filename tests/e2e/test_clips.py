"""A prompt goes in, frames that were drawn together come out, and one file of them all."""

import io
import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from latentry.client import ApiError, Client
from latentry.contracts import Job, JobKind, OutputKind
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack
from tests.valkey import Valkey
from tests.worker.engine import tiny
from tests.worker.engine.clips import tiny_motion

STEPS = {"num_inference_steps": 3, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def moving(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with a tiny model that has a motion module, and one that has none."""
    folder = tmp_path_factory.mktemp("clips")
    still = tiny.make(folder / "still", tiny.EPSILON)
    moves = tiny_motion.write(tiny.make(folder / "moves", tiny.EPSILON), tiny_motion.adapter())
    models = f"moves={moves},still={still}"
    settings = settings_for(valkey, folder, "clips", threads="1", models=models)
    with Stack(settings) as running:
        running.start_worker()
        yield running


@pytest.fixture
def client(moving: Stack) -> Iterator[Client]:
    with Client(moving.url) as client:
        yield client


def frames(client: Client, job: Job) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(client.download(one)))) for one in job.images]


def test_a_clip_is_frames_and_a_file_of_them(client: Client) -> None:
    job = client.clip("a red circle", model="moves", frames=5, output="webp", fps=10, **STEPS)
    assert (job.kind, job.request.frames) == (JobKind.CLIP, 5)
    assert [one.kind for one in job.outputs] == [*[OutputKind.FRAME] * 5, OutputKind.CLIP]
    assert [one.index for one in job.images] == [0, 1, 2, 3, 4]
    drawn = frames(client, job)
    assert all(one.shape == (64, 64, 3) for one in drawn)
    assert not np.array_equal(drawn[0], drawn[4])
    clip = job.outputs[-1]
    assert clip.content_type == "image/webp"
    with Image.open(io.BytesIO(client.download(clip))) as moving:
        assert (moving.n_frames, moving.size) == (5, (64, 64))
        moving.load()
        assert moving.info["duration"] == 100
        for index, own in enumerate(drawn):
            moving.seek(index)
            shown = np.asarray(moving.convert("RGB")).astype(int)
            assert np.abs(shown - own).mean() < 16, "WebP at its quality"


def test_an_mp4_has_every_frame(client: Client) -> None:
    av = pytest.importorskip("av")
    job = client.clip("a red circle", model="moves", output="mp4", **STEPS)
    assert job.request.frames == tiny_motion.FRAMES, "as many as the module knows"
    with av.open(io.BytesIO(client.download(job.outputs[-1]))) as file:
        shown = [one.to_ndarray(format="rgb24") for one in file.decode(video=0)]
    assert [one.shape for one in shown] == [(64, 64, 3)] * tiny_motion.FRAMES


def test_frames_alone_come_without_a_file(client: Client) -> None:
    job = client.clip("a red circle", model="moves", frames=2, output="frames", **STEPS)
    assert [one.kind for one in job.outputs] == [OutputKind.FRAME] * 2


def test_a_strict_clip_has_the_same_frames_again_and_its_recipe_makes_them(client: Client) -> None:
    options = {"model": "moves", "frames": 3, "seed": 5, "determinism": "strict", **STEPS}
    job = client.clip("a red circle", output="gif", **options)
    beside = [client.submit_clip("a blue square", **options | {"seed": k}) for k in (1, 2)]
    again = client.clip("a red circle", output="gif", **options)
    for one in beside:
        client.wait(one.id)
    hashes = [one.pixel_sha256 for one in job.outputs]
    assert [one.pixel_sha256 for one in again.outputs] == hashes
    assert {one.profile for one in job.images} == {job.images[0].profile} != {None}
    png = Image.open(io.BytesIO(client.download(job.images[2])))
    assert "Frames: 3" in png.info["parameters"]
    recipe = json.loads(png.info["latentry"])
    repeated = client.clip(recipe.pop("prompt"), **recipe)
    assert [one.pixel_sha256 for one in repeated.outputs] == hashes


def test_a_clip_costs_as_much_as_its_frames(client: Client) -> None:
    picture = client.estimate("a red circle", model="moves", **STEPS).cost.step_megapixels
    clip = client.estimate_clip(
        "a red circle", model="moves", frames=4, output="frames", **STEPS
    ).cost.step_megapixels
    assert clip == pytest.approx(4 * picture)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"frames": tiny_motion.FRAMES + 1}, "too_many_frames", "/frames"),
        ({"model": "still"}, "unsupported_field", "/frames"),
        ({"output": "frames", "fps": 8}, "invalid_request", "/fps"),
        ({"frames": 1}, "invalid_request", "/frames"),
        ({"image": "https://example.com/cat.png"}, "invalid_request", "/image"),
        ({"hires": {"scale": 2}}, "invalid_request", "/hires"),
        ({"preview_interval": 1}, "invalid_request", "/preview_interval"),
        ({"n": 2}, "invalid_request", "/n"),
        ({"num_inference_steps": 0}, "invalid_request", "/num_inference_steps"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(moving: Stack, changes, code: str, field: str) -> None:
    body = {"prompt": "a red circle", "model": "moves", **STEPS, **changes}
    answer = httpx.post(f"{moving.url}/v1/clips", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert field in [one["pointer"] for one in answer.json()["errors"]]


def test_the_card_says_how_many_frames(client: Client) -> None:
    limits = {model.id: model.limits for model in client.models().data}
    assert limits["moves"].max_frames == tiny_motion.FRAMES
    assert limits["still"].max_frames == 0
    with pytest.raises(ApiError):
        client.clip("a red circle", model="still")
