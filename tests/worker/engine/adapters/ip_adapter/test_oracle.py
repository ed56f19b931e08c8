"""Files of every layout against stock's load_ip_adapter, alone; crowds are in test_modes_oracle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from latentry.contracts import Sampler, Spacing
from tests import modes
from tests.worker.engine import oracle, stock
from tests.worker.engine.adapters.ip_adapter import pasted
from tests.worker.engine.adapters.ip_adapter.conftest import Pasted, Prompt, showing
from tests.worker.engine.conftest import sharing
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.clip_picture import clip_picture
from worker.engine.loop import Engine

pytestmark = stock.WARNINGS

FAMILIES = ("sd1-epsilon", "sd2-v", "sdxl-epsilon")
CASES = [
    (family, kind, pictures)
    for family in FAMILIES
    for kind, pictures in (
        ("ip-adapter", 1),
        ("ip-adapter", 2),
        ("ip-adapter-plus", 2),
        ("full", 1),
    )
]


@dataclass(frozen=True)
class Pipelines:
    """Stock's, each with files for it in a folder as h94/IP-Adapter has them."""

    of: dict[str, Any]
    folders: dict[str, Path]

    def made(self, model: str, kind: str, backend: Diffusion) -> Pasted:
        folder = self.folders[model]
        weights = pasted.ip_adapter(self.of[model].unet, pasted.KINDS[kind], 1)
        path = pasted.save(weights, folder / f"{kind}.safetensors")
        entry = backend.adapters.inspect(path)
        assert model in entry.models, entry.reason
        return Pasted(path, entry.sha256, weights)


@pytest.fixture(scope="module")
def pipelines(every_folder: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Pipelines:
    found, folders = {}, {}
    for model in FAMILIES:
        pipe = DiffusionPipeline.from_pretrained(every_folder[model], low_cpu_mem_usage=False)
        stock.read_as_open_clip(pipe, every_folder[model])
        pipe.set_progress_bar_config(disable=True)
        folders[model] = tmp_path_factory.mktemp(model)
        pasted.image_encoder(folders[model] / "image_encoder")
        found[model] = pipe
    return Pipelines(found, folders)


def drawn(
    pipelines: Pipelines, model: str, shown: dict[str, tuple[float, list[Any]]], **asked: Any
) -> torch.Tensor:
    """By the pipeline's own methods; shown: scale and pictures of each file."""
    pipe = pipelines.of[model]
    pipe.load_ip_adapter(
        str(pipelines.folders[model]), subfolder="", low_cpu_mem_usage=False,
        weight_name=[f"{kind}.safetensors" for kind in shown],
    )  # fmt: skip
    pipe.feature_extractor = CLIPImageProcessorPil(size=224, crop_size=224)
    pipe.set_ip_adapter_scale([scale for scale, _ in shown.values()])
    config = oracle.MODELS[model].config
    pipe.scheduler = stock.scheduler(config, Sampler.EULER, Spacing.DEFAULT)
    images = [[Image.fromarray(one) for one in each] for _, each in shown.values()]
    try:
        found = pipe(
            **asked, ip_adapter_image=images, output_type="latent",
            generator=torch.Generator().manual_seed(11),
        )  # fmt: skip
    finally:
        pipe.unet.encoder_hid_proj = None  # or it fails for resamplers
        pipe.unload_ip_adapter()
    latent: torch.Tensor = found.images[0]
    return latent


ASKED = {"prompt": "a red circle", "negative_prompt": "blur", "width": 64, "height": 64}
FIELDS = {"num_inference_steps": 5, "guidance_scale": 2.0}


@pytest.mark.parametrize(("model", "kind", "pictures"), CASES)
def test_an_image_equals_stock_s(
    every_model: Diffusion, pipelines: Pipelines, model: str, kind: str, pictures: int
) -> None:
    made = pipelines.made(model, kind, every_model)
    order = oracle.order("job", model, Sampler.EULER, Spacing.DEFAULT, **FIELDS)
    prompts = [Prompt(made, k + 1, 0.7) for k in range(pictures)]
    latent = oracle.alone(
        Engine(sharing(every_model)), showing(every_model.adapters, order, *prompts)
    )
    images = [modes.pictures(k + 1)["image"] for k in range(pictures)]
    expected = drawn(pipelines, model, {kind: (0.7, images)}, **ASKED, **FIELDS)
    assert stock.error(latent, expected) <= 1
    other = showing(
        every_model.adapters, order, *[Prompt(made, k + 5, 0.7) for k in range(pictures)]
    )
    assert stock.error(oracle.alone(Engine(sharing(every_model)), other), expected) > 100, (
        "of other pictures"
    )
    assert stock.error(oracle.alone(Engine(sharing(every_model)), order), expected) > 100, "of none"


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_several_adapters_add_up_as_stock_s_do(
    every_model: Diffusion, pipelines: Pipelines, model: str, guidance: float
) -> None:
    whole = pipelines.made(model, "ip-adapter", every_model)
    parts = pipelines.made(model, "ip-adapter-plus", every_model)
    fields = FIELDS | {"guidance_scale": guidance}
    order = oracle.order("job", model, Sampler.EULER, Spacing.DEFAULT, **fields)
    prompts = (Prompt(parts, 1, 0.5), Prompt(whole, 3, -0.4), Prompt(parts, 2, 0.5))
    latent = oracle.alone(
        Engine(sharing(every_model)), showing(every_model.adapters, order, *prompts)
    )
    images = {seed: modes.pictures(seed)["image"] for seed in (1, 2, 3)}
    shown = {
        "ip-adapter-plus": (0.5, [images[1], images[2]]), "ip-adapter": (-0.4, [images[3]]),
    }  # fmt: skip
    expected = drawn(pipelines, model, shown, **ASKED, **fields)
    assert stock.error(latent, expected) <= 1


@pytest.mark.parametrize(("width", "height"), [(80, 72), (300, 170), (60, 400), (224, 224)])
def test_pictures_of_any_shape_are_seen_as_stock_sees_them(width: int, height: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    process = CLIPImageProcessorPil(size=224, crop_size=224, do_normalize=False, do_rescale=False)
    theirs = process(Image.fromarray(pixels), return_tensors="np").pixel_values[0]
    assert (clip_picture(pixels) == theirs.transpose(1, 2, 0)).all()
