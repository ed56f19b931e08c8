"""Where motion modules come from, and which are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AnimateDiffPipeline, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from latentry.errors import ConfigurationError
from tests.worker.engine.clips import tiny_motion
from tests.worker.engine.conftest import serving
from tests.worker.engine.models import published, small
from tests.worker.engine.trajectories import begun, drawn
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.sources.folder import blueprint_from_folder

Edit = Callable[[dict[str, torch.Tensor]], None]


@pytest.fixture
def folder(motion_folders: dict[str, Path], tmp_path: Path) -> Path:
    """A model of one's own, without a module."""
    made = tmp_path / "model"
    shutil.copytree(
        motion_folders["epsilon"], made, ignore=shutil.ignore_patterns("motion_adapter")
    )
    return made


def latent(backend: Diffusion, model: str) -> torch.Tensor:
    return drawn(backend, begun(backend, tiny_motion.order(model=model, num_inference_steps=2)))


def read(folder: Path) -> Blueprint:
    return blueprint_from_folder("model", folder, prefer_fp16=False)


def test_the_card_says_how_many_frames_the_module_knows(
    motion_folders: dict[str, Path], folder: Path
) -> None:
    found = {name: read(one).card.limits.max_frames for name, one in motion_folders.items()}
    assert found == {"epsilon": 6, "published": 6, "without-middle": 4}
    assert read(folder).card.limits.max_frames == 0


def test_pictures_are_the_same_with_a_module_and_without(moving: Diffusion, folder: Path) -> None:
    plain = serving({"plain": folder})
    with_module, without = moving.models["epsilon"], plain.models["plain"]
    assert with_module.fingerprint == without.fingerprint
    assert with_module.clip_fingerprint != with_module.fingerprint
    assert without.motion is None


def test_a_clips_and_a_pictures_unet_have_the_same_weights_in_memory(moving: Diffusion) -> None:
    model = moving.models["epsilon"]
    motion, unet = dict(model.motion.named_parameters()), dict(model.unet.named_parameters())
    assert unet.keys() <= motion.keys()
    assert all(motion[name] is unet[name] for name in unet)
    rest = motion.keys() - unet.keys()
    assert rest
    assert all("motion_modules" in name for name in rest)


def edit_published(folder: Path, edit: Edit) -> None:
    tiny_motion.write(folder, tiny_motion.adapter(), as_published=True)
    file = folder / "motion_adapter" / "mm_tiny.safetensors"
    weights = load_file(file)
    edit(weights)
    save_file(weights, file)


TABLE = (
    "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks"
    ".{}.pos_encoder.pe"
)


def without_table(weights: dict[str, torch.Tensor]) -> None:
    for k in range(2):
        del weights[TABLE.format(k)]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda w: w.update({"some.other.weight": torch.zeros(3)}), "does not use"),
        (lambda w: w.pop(next(name for name in w if ".ff." in name)), "lack"),
        (lambda w: w[TABLE.format(1)].add_(1), "positions of its own"),
        (without_table, "no position table"),
    ],
    ids=["left over", "missing", "two tables", "none"],
)
def test_a_published_file_is_used_to_the_last_weight_or_refused(
    folder: Path, edit: Edit, says: str
) -> None:
    edit_published(folder, edit)
    with pytest.raises(ConfigurationError, match=says):
        Diffusion(device="cpu", dtype="float32", threads=1).load("model", folder)


def test_names_of_training_on_several_gpus_are_read(folder: Path) -> None:
    def prefix(weights: dict[str, torch.Tensor]) -> None:
        renamed = {f"module.{name}": weight for name, weight in weights.items()}
        weights.clear()
        weights.update(renamed)

    edit_published(folder, prefix)
    assert read(folder).card.limits.max_frames == tiny_motion.FRAMES


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"block_out_channels": (32, 32)}, "32, 32"),
        ({"motion_layers_per_block": 2}, "as many as the UNet's"),
        ({"motion_norm_num_groups": 4}, "groups"),
        ({"conv_in_channels": 9}, "PIA"),
    ],
    ids=str,
)
def test_a_module_of_another_unet_is_refused(
    folder: Path, changes: dict[str, Any], says: str
) -> None:
    tiny_motion.write(folder, tiny_motion.adapter(**changes))
    with pytest.raises(ConfigurationError, match=says):
        read(folder)


def test_an_index_that_names_a_module_needs_one(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "_class_name": "AnimateDiffPipeline",
        "motion_adapter": ["diffusers", "MotionAdapter"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigurationError, match="motion_adapter"):
        read(folder)
    tiny_motion.write(folder, tiny_motion.adapter())
    assert read(folder).card.limits.max_frames == tiny_motion.FRAMES


def test_a_module_beside_a_checkpoint_in_one_file_draws_what_the_folder_draws(
    tmp_path: Path,
) -> None:
    folder = small.make(tmp_path / "folder", "sd1")
    file = published.write(folder, tmp_path / "dream.safetensors")
    module = tiny_motion.adapter(block_out_channels=(64, 128), motion_norm_num_groups=32)
    tiny_motion.write(folder, module)
    save_file(tiny_motion.published(module), tmp_path / "dream.motion.safetensors")
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    cards = [backend.load("folder", folder), backend.load("file", file)]
    assert [card.limits.max_frames for card in cards] == [tiny_motion.FRAMES] * 2
    assert torch.equal(latent(backend, "folder"), latent(backend, "file"))


def test_a_folder_that_stock_saved_draws_what_its_parts_draw(
    motion_folders: dict[str, Path], tmp_path: Path
) -> None:
    """AnimateDiffPipeline saves a UNetMotionModel, and its motion adapter a second time."""
    parts = StableDiffusionPipeline.from_pretrained(
        motion_folders["epsilon"], low_cpu_mem_usage=False
    ).components
    wanted = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    saved = AnimateDiffPipeline(
        **{name: parts[name] for name in wanted}, motion_adapter=tiny_motion.adapter()
    )
    saved.save_pretrained(tmp_path / "saved")
    backend = serving({"parts": motion_folders["epsilon"], "saved": tmp_path / "saved"})
    assert torch.equal(latent(backend, "parts"), latent(backend, "saved"))
