"""Frogs are forbidden: a running service looks at the pictures that it draws."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentry.client import Client
from latentry.client.errors import JobDidNotSucceed
from latentry.contracts import Job
from latentry.errors import LatentryError
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack, until
from tests.valkey import Valkey
from tools.scenes.checker import detect
from tools.scenes.drawing import draw
from tools.scenes.scene import Scene, place

pytest.importorskip("onnxruntime")

FROGS = Path(__file__).parents[2] / "models" / "frogs" / "classifier.onnx"
RULES = """
[[image]]
name = "frogs"
label = "frog"
threshold = 0.5
action = "block"
reason = "The picture shows a frog."
tenants = ["{tenant}"]

[[image]]
name = "blurred"
label = "frog"
threshold = 0.5
action = "blur"

[[prompt]]
name = "toads"
words = ["toad"]
action = "refuse"
reason = "No toads."
"""
FROG = "a large green frog on a white background"
CIRCLE = "a large red circle on a white background"


@pytest.fixture(scope="module")
def stack(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules.toml").write_text(RULES.format(tenant="default"))
    settings = settings_for(
        valkey,
        folder,
        "rules",
        threads="1",
        rules=str(folder / "rules.toml"),
        classifier=str(FROGS),
    )
    with Stack(settings) as running:
        running.start_worker()
        yield running


def shown(client: Client, job: Job, index: int = 0) -> np.ndarray:
    picture = Image.open(io.BytesIO(client.download(job.images[index])))
    return np.asarray(picture.convert("RGB"))


def shapes(pixels: np.ndarray) -> list[str | None]:
    return [one.shape for one in detect(pixels).objects]


def test_a_frog_is_withheld_and_a_circle_is_not(client: Client) -> None:
    with pytest.raises(JobDidNotSucceed) as caught:
        client.generate(FROG, seed=1)
    job = caught.value.job
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("picture_refused", "The picture shows a frog.")
    assert job.images == []
    [output] = job.outputs
    assert output.error is not None
    assert output.safety is not None
    assert (output.url, output.safety.labels, output.safety.action) == ("", ["frog"], "block")
    drawn = client.generate(CIRCLE, seed=1)
    assert shapes(shown(client, drawn)) == ["circle"]
    assert drawn.images[0].safety is not None
    assert drawn.images[0].safety.action == "none"
    assert drawn.images[0].safety.scores["frog"] < 0.5


def test_an_interpolation_from_a_frog_shows_none_of_it(client: Client) -> None:
    with pytest.raises(JobDidNotSucceed, match="picture_refused") as caught:
        client.interpolate(
            {"prompt": FROG, "seed": 1}, {"prompt": CIRCLE, "seed": 1}, frames=3, output="webp"
        )
    job = caught.value.job
    assert 0 not in {image.index for image in job.images}
    assert all("frog" not in shapes(shown(client, job, k)) for k in range(len(job.images)))
    assert not [one for one in job.outputs if one.kind == "clip"]


def test_a_frog_that_is_brought_is_not_enlarged_or_handed_back(client: Client) -> None:
    frog = place(
        random.Random(1), colour="green", shape="frog", size="large", position="centre",
        width=128, height=128,
    )  # fmt: skip
    file = io.BytesIO()
    Image.fromarray(draw(Scene(128, 128, "white", (frog,)))).save(file, "PNG")
    with pytest.raises(JobDidNotSucceed, match="picture_refused"):
        client.upscale(file.getvalue(), scale=2)
    with pytest.raises(JobDidNotSucceed, match="picture_refused"):
        client.control(file.getvalue(), preprocess="none")


def test_no_preview_shows_it_either(client: Client) -> None:
    job = client.submit(FROG, seed=1, preview_interval=1)
    kinds = [event.type.value for event in client.events(job.id)]
    assert "preview" not in kinds
    assert "image" not in kinds
    assert [one.code for one in job.warnings] == ["previews_withheld"]


def test_rules_that_change_hold_for_what_comes_then(client: Client, stack: Stack) -> None:
    file = Path(stack.settings.rules)
    with pytest.raises(LatentryError, match="No toads"):
        client.generate("a toad")
    file.write_text(RULES.format(tenant="somebody"))

    def is_shown() -> bool:
        try:
            return bool(client.generate(FROG, seed=1).images)
        except JobDidNotSucceed:
            return False

    until(is_shown, what="a frog that is blurred and not blocked")
    job = client.generate(FROG, seed=1)
    [image] = job.images
    assert image.safety is not None
    assert image.safety.action == "blur"
    assert "frog" not in shapes(shown(client, job))
