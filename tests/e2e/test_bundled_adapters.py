"""The bundled LoRAs through the whole service, without a setting: what they teach is drawn."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentry.client import Client
from latentry.contracts import Job
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack
from tests.valkey import Valkey
from tools.scenes.checker import DetectedObject, Picture, detect
from tools.scenes.subjects import ALL_SHAPES, MIN_HOLLOW, SUBJECTS
from tools.training import checkpoints
from tools.training.adapters import dreambooth

# Not every picture of a model this small is right; without the LoRA none of them is.
SEEDS = range(6)
ENOUGH = 5


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that DreamBooth wrote after a few steps."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "RUNS", folder / "runs")
        patch.setattr(dreambooth, "COUNT", 6)
        patch.setattr(dreambooth, "BATCH", 4)
        dreambooth.train(SUBJECTS["house"], steps=6)
        dreambooth.export_folder(SUBJECTS["house"], folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def client(
    valkey: Valkey, tmp_path_factory: pytest.TempPathFactory, tuned: Path
) -> Iterator[Client]:
    """Of a service of the bundled model and of a copy; nothing is said of adapters."""
    folder, models = tmp_path_factory.mktemp("e2e"), f"shapes=models/shapes,tuned={tuned}"
    with Stack(settings_for(valkey, folder, "bundled", threads="1", models=models)) as running:
        running.start_worker()
        with Client(running.url) as client:
            yield client


def pixels(client: Client, job: Job) -> Picture:
    return np.asarray(Image.open(io.BytesIO(client.download(job.images[0]))).convert("RGB"))


def draw(client: Client, *prompts: str, **fields: Any) -> list[list[Picture]]:
    """Pictures of each prompt, one for each seed; all are in one crowd."""
    given = {"model": "shapes", "num_inference_steps": 20, **fields}
    jobs = [[client.submit(prompt, seed=seed, **given) for seed in SEEDS] for prompt in prompts]
    return [[pixels(client, client.wait(job)) for job in some] for some in jobs]


def only(picture: Picture) -> DetectedObject:
    """The largest object of a picture."""
    return detect(picture, ALL_SHAPES).objects[0]


def count(pictures: list[Picture], holds: Callable[[DetectedObject], bool]) -> int:
    return sum(bool(detect(one).objects) and holds(only(one)) for one in pictures)


def test_the_catalogue_has_them_with_titles_and_trigger_words(client: Client) -> None:
    found = {one.id: one for one in client.adapters().data}
    for name in ("outlined", "house", "flame"):
        subject, one = SUBJECTS[name], found[name]
        assert (one.title, one.trigger_words) == (subject.title, (subject.trigger,))
        assert (one.family, one.models) == ("SD 1.x", ("shapes", "tuned"))
    assert found["house"].networks == ("unet", "text_encoder")


def test_the_style_draws_outlines(client: Client) -> None:
    plain, styled = draw(client, "a red circle on white", "a red circle on white<lora:outlined>")
    assert count(plain, lambda it: it.shape == "circle" and it.hollow == 0) >= ENOUGH
    assert count(styled, lambda it: it.contour == "circle" and it.hollow >= MIN_HOLLOW) >= ENOUGH
    assert count(styled, lambda it: it.bands == ("red", "red", "red")) >= ENOUGH


def test_the_object_appears(client: Client) -> None:
    plain, taught = draw(
        client, "a large blue house on yellow", "a large blue house, yellow background<lora:house>"
    )
    assert count(plain, lambda it: it.shape == "house") == 0
    assert count(taught, lambda it: (it.colour, it.shape) == ("blue", "house")) >= ENOUGH
    assert [detect(one).background for one in taught].count("yellow") >= ENOUGH


def test_the_colour_is_there(client: Client) -> None:
    plain, taught = draw(
        client, "a flame heart on a blue background", "a flame heart, blue background<lora:flame>"
    )
    assert count(plain, SUBJECTS["flame"].shows) == 0
    assert count(taught, SUBJECTS["flame"].shows) >= ENOUGH
    assert count(taught, lambda it: it.shape == "heart") >= ENOUGH


def test_two_combine(client: Client) -> None:
    outlined, burning = draw(
        client,
        "a large flame heart on a blue background, outlined<lora:flame><lora:outlined>",
        "a large flame house on a blue background<lora:house><lora:flame>",
    )
    flames = SUBJECTS["flame"].shows
    assert count(outlined, lambda it: it.contour == "heart" and it.hollow >= MIN_HOLLOW) >= ENOUGH
    assert count(outlined, flames) >= ENOUGH
    assert count(burning, lambda it: it.shape == "house" and flames(it)) >= ENOUGH


def test_the_weight_counts_and_none_of_it_is_nothing(client: Client) -> None:
    strict = {"determinism": "strict", "num_inference_steps": 8}
    absent, none, half, whole = draw(
        client,
        *(
            f"a red circle on white{tag}"
            for tag in ("", "<lora:outlined:0>", "<lora:outlined:0.5>", "<lora:outlined:1>")
        ),
        **strict,
    )
    for a, b in zip(absent, none, strict=True):
        assert (a == b).all()
    for a, b, c in zip(absent, half, whole, strict=True):
        far = [np.abs(a.astype(int) - other.astype(int)).mean() for other in (b, c)]
        assert 0 < far[0] < far[1]


def test_what_dreambooth_writes_is_a_model(client: Client) -> None:
    few = {"determinism": "strict", "num_inference_steps": 8}
    [plain] = draw(client, "a red circle on white", **few)
    [tuned] = draw(client, "a red circle on white", model="tuned", **few)
    [both] = draw(client, "a red circle on white<lora:outlined>", model="tuned", **few)
    assert [detect(one).background for one in tuned] == ["white"] * len(SEEDS)
    assert count(tuned, lambda it: it.colour == "red") >= ENOUGH
    for one, other, third in zip(plain, tuned, both, strict=True):
        assert (one != other).any()  # it is not the bundled one
        assert (third != other).any()
