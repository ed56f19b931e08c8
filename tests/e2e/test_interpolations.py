"""Frames between pictures of the bundled model, through the API, and one file of them all."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageSequence

from latentry.client import Client
from latentry.contracts import Job, JobKind, OutputKind

FROM = {"prompt": "a red circle on a blue background", "seed": 7, "determinism": "strict"}
TO = {"prompt": "a yellow square on a green background", "seed": 9, "determinism": "strict"}
STEPS = {"num_inference_steps": 8}


def shown(client: Client, job: Job) -> list[np.ndarray]:
    files = (client.download(image) for image in job.images)
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_frames_lead_from_one_picture_to_the_other(client: Client) -> None:
    first, last = FROM | STEPS, TO | STEPS
    job = client.interpolate(first, last, 5, output="gif", fps=4)
    assert job.kind is JobKind.INTERPOLATION
    assert [image.index for image in job.images] == [0, 1, 2, 3, 4]
    ends = [client.generate(**one).images[0] for one in (first, last)]
    assert [one.pixel_sha256 for one in ends] == [
        job.images[0].pixel_sha256,
        job.images[-1].pixel_sha256,
    ]
    frames = shown(client, job)
    ways = [distance(frame, frames[0]) for frame in frames]
    assert max(distance(a, b) for a, b in itertools.pairwise(frames)) < ways[-1]
    assert [one.kind for one in job.outputs] == [OutputKind.FRAME] * 5 + [OutputKind.CLIP]
    clip = job.outputs[-1]
    assert (clip.name, clip.content_type, clip.width) == ("clip", "image/gif", 128)
    with Image.open(io.BytesIO(client.download(clip))) as moving:
        found = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(moving)]
    assert len(found) == 5
    assert max(distance(a, b) for a, b in zip(found, frames, strict=True)) < 6


@pytest.mark.parametrize("output", ["webp", "mp4"])
def test_the_frames_of_pictures_become_a_clip(client: Client, output: str) -> None:
    circle = client.generate(**(FROM | STEPS))
    seen = client.download(circle.images[0])
    first, last = (one | STEPS | {"image": seen, "strength": 0.5} for one in (FROM, TO))
    estimate = client.estimate_interpolation(first, last, 3, output=output)
    alone = client.estimate(**first)
    assert estimate.cost.step_megapixels > 3 * alone.cost.step_megapixels
    job = client.interpolate(first, last, 3, output=output)
    clip = job.outputs[-1]
    assert (clip.kind, clip.content_type.split("/")[1]) == (OutputKind.CLIP, output)
    assert len(client.download(clip)) > 100
    assert job.images[0].pixel_sha256 == client.generate(**first).images[0].pixel_sha256
