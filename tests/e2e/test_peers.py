"""Replicate's and Hugging Face's clients against the running service, whose engine draws.

Their npm clients are set up by `npm ci --prefix tests/e2e/node`.
"""

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.e2e.processes import Stack

SIDE = 128
NODE = Path(__file__).with_name("node")
PROMPT = "a red circle on a blue background"


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    image = Image.new("RGB", (SIDE, SIDE), (20, 40, 200))
    ImageDraw.Draw(image).ellipse((30, 30, 98, 98), fill=(220, 30, 30))
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_replicates_run_draws_edits_and_streams(stack: Stack, photo: Path) -> None:
    replicate = pytest.importorskip("replicate", reason="Replicate's client is not installed")
    client = replicate.Client("any", base_url=f"{stack.url}/replicate")
    inputs = {"prompt": PROMPT, "num_inference_steps": 6, "seed": 3, "scheduler": "K_EULER"}
    first, second = client.run("latentry/shapes", input=inputs | {"num_outputs": 2})
    assert opened(first.read()).size == opened(second.read()).size == (SIDE, SIDE)
    [again] = client.run("latentry/shapes", input=inputs | {"determinism": "strict"})
    [same] = client.run("latentry/shapes:shapes", input=inputs | {"determinism": "strict"})
    pixels = [np.asarray(opened(one.read())) for one in (again, same)]
    assert (pixels[0] == pixels[1]).all()
    with photo.open("rb") as file:
        [edited] = client.run(
            "latentry/shapes",
            input=inputs | {"image": file, "prompt_strength": 0.3, "output_format": "webp"},
        )
    picture = opened(edited.read())
    near = np.abs(
        np.asarray(picture.convert("RGB"), float) - np.asarray(opened(photo.read_bytes()))
    ).mean()
    assert picture.format == "WEBP"
    assert 0 < near < 60
    events = list(client.stream("latentry/shapes", input=inputs))
    [streamed] = [event.data for event in events if event.event.value == "output"]
    assert opened(streamed.read()).size == (SIDE, SIDE)
    assert events[-1].event.value == "done"
    client._client.close()


def test_hugging_faces_client_draws_and_edits(stack: Stack, photo: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    client = hub.InferenceClient(model=f"{stack.url}/hf/shapes", token="any")
    image = client.text_to_image(PROMPT, num_inference_steps=6, seed=3)
    assert (image.size, image.format) == ((SIDE, SIDE), "PNG")
    edited = client.image_to_image(photo, prompt=PROMPT, strength=0.3, num_inference_steps=10)
    near = np.abs(
        np.asarray(edited.convert("RGB"), float) - np.asarray(opened(photo.read_bytes()))
    ).mean()
    assert 0 < near < 60


def run(program: str, stack: Stack, folder: Path) -> dict:
    """What a program of `node` says. The test is skipped without Node or the clients."""
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules").is_dir():
        pytest.skip("npm clients are not set up: install Node, then npm ci --prefix tests/e2e/node")
    command = [node, str(NODE / program), stack.url, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_replicates_npm_client_draws_edits_and_streams(stack: Stack, tmp_path: Path) -> None:
    said = run("replicate.mjs", stack, tmp_path)
    for name in ("run", "polled", "edited", "streamed"):
        assert opened((tmp_path / f"{name}.png").read_bytes()).size == (SIDE, SIDE)
    assert [name for name in said["events"] if name != "logs"] == ["output", "done"]
    assert "input.width" in said["refusal"]
    assert sum(said["pages"]) >= 4
    assert (said["account"], said["model"]) == ("organization", "shapes")


def test_hugging_faces_npm_client_draws_and_edits(stack: Stack, tmp_path: Path) -> None:
    said = run("hugging_face.mjs", stack, tmp_path)
    for name in ("text", "edited", "plain"):
        assert opened((tmp_path / f"{name}.png").read_bytes()).size == (SIDE, SIDE)
    assert said["type"] == "image/png"
    assert "parameters.width" in said["refusal"]
