"""The tiny decoder of the bundled model, as stock diffusers loads it."""

import subprocess
import sys

import pytest
import torch
from diffusers import AutoencoderTiny

from tools.preview import load_vae, pairs
from tools.training.parts import FOLDER


def test_it_shows_nearly_what_the_autoencoder_draws() -> None:
    tiny = AutoencoderTiny.from_pretrained(
        FOLDER / "taesd", torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    latents, pictures = pairs(load_vae(), 6, "test")
    with torch.no_grad():
        shown = tiny.decode(latents).sample.clamp(-1, 1)
    error = (shown - pictures) / 2
    for one in error.square().flatten(1).mean(1):
        assert one < 10**-2.2  # 22 dB


def test_it_is_small() -> None:
    size = sum(file.stat().st_size for file in (FOLDER / "taesd").iterdir())
    assert size < 600_000


@pytest.mark.slow
def test_the_stock_pipeline_ignores_it() -> None:
    code = (
        "from diffusers import StableDiffusionPipeline\n"
        "pipe = StableDiffusionPipeline.from_pretrained('models/shapes', low_cpu_mem_usage=False)\n"
        "assert 'taesd' not in pipe.components"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "taesd" not in done.stderr
    assert "not expected" not in done.stderr
