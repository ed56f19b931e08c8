"""DreamBooth's results: a model's folder, and the difference as a LoRA."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import nn

from tools.scenes.subjects import SUBJECTS
from tools.training.adapters import dreambooth, low_rank
from tools.training.parts import load_part

HOUSE = SUBJECTS["house"]


@pytest.fixture
def taught(runs: Path, monkeypatch: pytest.MonkeyPatch) -> UNet2DConditionModel:
    monkeypatch.setattr(dreambooth, "COUNT", 6)
    monkeypatch.setattr(dreambooth, "BATCH", 2)
    monkeypatch.setattr(dreambooth, "PEAK_RATE", 2e-3)
    dreambooth.train(HOUSE, steps=4)
    return dreambooth.trained(HOUSE)


def test_a_lora_has_most_of_the_difference(taught: UNet2DConditionModel, tmp_path: Path) -> None:
    plain, file = load_part(UNet2DConditionModel, "unet"), tmp_path / "house.safetensors"
    dreambooth.export_lora(HOUSE, file)
    dreambooth.export_folder(HOUSE, tmp_path / "model")

    torch.manual_seed(9)
    inputs = (torch.randn(2, 4, 16, 16), torch.tensor([900, 300]), torch.randn(2, 77, 128))

    def predict(unet: nn.Module) -> torch.Tensor:
        with torch.no_grad():
            predicted: torch.Tensor = unet(*inputs).sample
        return predicted

    before, after = predict(plain), predict(taught)
    layers = low_rank.layers(plain)
    with low_rank.attached(low_rank.load(file, layers), layers):
        near = predict(plain)
    changed, left = (after - before).norm(), (after - near).norm()
    assert changed > 0.01 * before.norm()
    assert left < 0.5 * changed

    # The folder is stock's, with the weights that were taught.
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(predict(pipeline.unet), after, atol=5e-3, rtol=5e-3)
    assert json.loads((tmp_path / "model" / "latentry.json").read_text())["id"] == "house"
