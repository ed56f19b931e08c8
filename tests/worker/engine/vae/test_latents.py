"""A VAE whose config has a mean and a deviation for each channel gets latents that fit them."""

import json
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from tests.worker.engine import tiny
from tests.worker.engine.conftest import serving
from tests.worker.engine.tiny import Family
from worker.engine.loop import Engine
from worker.engine.vae.latents import unscaled

MEAN, STD = [2.0, -1.0, 0.5, 3.0], [1.5, 0.7, 1.1, 2.0]


def with_moments(folder: Path) -> Path:
    file = folder / "vae" / "config.json"
    changes = {"latents_mean": MEAN, "latents_std": STD}
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def drawn(folder: Path) -> np.ndarray:
    backend = serving({"m": folder})
    engine = Engine(backend)
    engine.submit(tiny.order("job", model="m", num_inference_steps=2))
    return tiny.pixels(tiny.drain(engine))["job"]


def test_a_picture_is_that_of_stock_sdxl(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "m", tiny.EPSILON, family=Family.SDXL)
    plain = drawn(folder)
    found = drawn(with_moments(folder))
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    expected = pipeline(
        "a red circle", width=64, height=64, num_inference_steps=2, guidance_scale=5.0,
        generator=torch.Generator().manual_seed(0), output_type="np",
    ).images[0]  # fmt: skip
    assert np.abs(found - (expected * 255).round()).max() <= 1
    assert np.abs(found.astype(int) - plain.astype(int)).max() > 10


@pytest.mark.parametrize("family", [Family.SD1, Family.SDXL])
def test_what_a_config_says_holds_in_every_family(tmp_path: Path, family: Family) -> None:
    folder = with_moments(tiny.make(tmp_path / "m", tiny.EPSILON, family=family))
    backend = serving({"m": folder})
    vae = backend.models["m"].vae
    own = torch.randn(1, 4, 8, 8)
    mean, std = (torch.tensor(one).view(1, 4, 1, 1) for one in (MEAN, STD))
    of_the_unet = (own - mean) / std * vae.config.scaling_factor
    assert torch.allclose(unscaled(of_the_unet, vae.config), own, atol=1e-5)
