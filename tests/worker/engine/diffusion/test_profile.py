"""A profile names all that strict bits depend on, and nothing that is measured or only a name."""

import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from worker.engine.device import Device
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.profile import Profile

AT = Device.choose("cpu", "float32")


def test_equal_profiles_have_one_id_and_every_fact_counts() -> None:
    profile = Profile.of("model", AT, rows=8)
    assert profile.id == Profile.of("model", AT, rows=8).id
    more: dict[Any, Any] = {int: 1, tuple: ("x",)}
    facts = {field.name: getattr(profile, field.name) for field in fields(Profile)}
    changed = {name: fact + more.get(type(fact), "x") for name, fact in facts.items()}
    others = {replace(profile, **{name: value}).id for name, value in changed.items()}
    assert len(others - {profile.id}) == len(fields(Profile))


def test_another_precision_is_another_profile() -> None:
    ats = [Device.choose("cpu", dtype) for dtype in ("float32", "bfloat16")]
    assert len({Profile.of("model", at, rows=8).id for at in ats}) == 2


def test_another_thread_count_is_another_profile() -> None:
    before, ids = torch.get_num_threads(), set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        ids.add(Profile.of("model", AT, rows=8).id)
    torch.set_num_threads(before)
    assert len(ids) == 2


def fingerprint(folder: Path, model: str = "m") -> str:
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load(model, folder)
    return backend.models[model].fingerprint


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(folders["epsilon"], tmp_path / "elsewhere")


def test_a_models_fingerprint_does_not_depend_on_its_path_or_id(
    folders: dict[str, Path], copy: Path
) -> None:
    assert fingerprint(folders["epsilon"]) == fingerprint(copy, "another-name")


def one_bit(folder: Path) -> None:
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["decoder.conv_in.bias"].view(torch.int32)[3] ^= 1
    save_file(weights, file)


def option(part: str, name: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        [file] = (folder / part).glob("*config.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))

    return change


@pytest.mark.parametrize(
    "change",
    [
        one_bit,
        option("unet", "norm_eps", 1e-4),
        option("vae", "scaling_factor", 0.2),
        option("text_encoder", "hidden_act", "gelu"),
        option("tokenizer", "pad_token", "!"),
        option("tokenizer", "model_max_length", 70),
        option("scheduler", "beta_end", 0.013),
        option("scheduler", "prediction_type", "v_prediction"),
    ],
)
def test_one_bit_of_a_weight_or_one_option_makes_another_model(
    folders: dict[str, Path], copy: Path, change: Callable[[Path], None]
) -> None:
    change(copy)
    assert fingerprint(copy) != fingerprint(folders["epsilon"])
