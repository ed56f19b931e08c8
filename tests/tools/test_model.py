import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tools.evaluate import generate, load_pipeline
from tools.scenes.checker import detect

FOLDER = Path("models/shapes")


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(FOLDER)


def test_the_stock_pipeline_ends_up_in_one_dtype(pipeline):
    parts = (pipeline.unet, pipeline.vae, pipeline.text_encoder)
    assert {next(part.parameters()).dtype for part in parts} == {torch.float32}
    assert {value.dtype for part in parts for value in part.parameters()} == {torch.float32}


def test_it_draws_what_the_prompt_says(pipeline):
    guidance = json.loads((FOLDER / "latentry.json").read_text())["default_guidance_scale"]
    pictures = generate(
        pipeline,
        ["a red circle on a blue background"] * 2,
        [7, 8],
        num_inference_steps=25,
        guidance_scale=guidance,
    )
    for picture in pictures:
        detection = detect(picture)
        assert picture.shape == (128, 128, 3)
        assert detection.background == "blue"
        assert [(found.colour, found.shape) for found in detection.objects] == [("red", "circle")]


def test_the_folder_is_small_and_holds_no_pickle():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 24_000_000
    assert {path.suffix for path in files} <= {".json", ".md", ".safetensors", ".txt"}


@pytest.mark.slow
def test_loading_it_prints_no_deprecation():
    code = (
        "import warnings; warnings.simplefilter('error', FutureWarning)\n"
        "from diffusers import StableDiffusionPipeline\n"
        "StableDiffusionPipeline.from_pretrained('models/shapes')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "deprecat" not in done.stderr.lower()
