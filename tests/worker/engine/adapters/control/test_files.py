"""ControlNets' files: layouts and precisions that are read, and what is refused by name."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from latentry.contracts import AdapterKind
from latentry.errors import AdapterGone, AdaptersTooLarge, AdapterUnusable
from tests.worker.engine import tiny
from tests.worker.engine.adapters.control import written
from worker.engine.adapters.control.loaded import LoadedControl
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion


@pytest.fixture(scope="module")
def unet(folders: dict[str, Path]) -> Any:
    return UNet2DConditionModel.from_pretrained(
        folders["epsilon"] / "unet", low_cpu_mem_usage=False
    )


@pytest.fixture(scope="module")
def net(unet: Any) -> Any:
    return written.network(unet, 1)


@pytest.fixture
def shelf(loaded: Diffusion) -> Shelf:
    return shelf_of(loaded, 2**30)


def shelf_of(loaded: Diffusion, budget_bytes: int) -> Shelf:
    residents = loaded._residents
    return Shelf(loaded.at, lambda: residents.blueprints, budget_bytes)


def read(shelf: Shelf, path: Path) -> LoadedControl:
    sha256 = shelf.inspect(path).sha256
    found = shelf.load("epsilon", {sha256: path})[sha256]
    assert isinstance(found, LoadedControl)
    return found


def weights_of(found: LoadedControl) -> written.Weights:
    named = {
        f"controlnet_cond_embedding.{name}": weight
        for name, weight in found.embedding.state_dict().items()
    }
    return named | dict(found.network.state_dict())


LAYOUTS = {
    "diffusers": written.diffusers_weights,
    "original": written.original,
    "original without a prefix": lambda net: written.original(net, ""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_the_same_network(
    shelf: Shelf, net: Any, tmp_path: Path, layout: str
) -> None:
    path = written.save(LAYOUTS[layout](net), tmp_path / "net.safetensors")
    entry = shelf.inspect(path)
    assert (entry.kind, entry.family, entry.networks) == (
        AdapterKind.CONTROLNET, "SD 1.x", ("unet",),
    )  # fmt: skip
    assert "epsilon" in entry.models
    assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    found = weights_of(read(shelf, path))
    expected = net.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_each_precision_is_read(shelf: Shelf, net: Any, tmp_path: Path, dtype: torch.dtype) -> None:
    weights = {name: w.to(dtype) for name, w in written.original(net).items()}
    found = weights_of(read(shelf, written.save(weights, tmp_path / "net.safetensors")))
    for name, weight in net.state_dict().items():
        assert torch.equal(found[name], weight.to(dtype).float())


def test_fp8_weights_have_their_scales(shelf: Shelf, net: Any, tmp_path: Path) -> None:
    weights = written.diffusers_weights(net)
    weights["conv_in.weight"] = weights["conv_in.weight"].to(torch.float8_e4m3fn)
    weights["conv_in.scale_weight"] = torch.tensor(0.5)
    found = weights_of(read(shelf, written.save(weights, tmp_path / "net.safetensors")))
    assert torch.equal(found["conv_in.weight"], weights["conv_in.weight"].float() * 0.5)


def folder_of(net: Any, folder: Path, **said: Any) -> Path:
    net.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | said))
    return folder


def test_a_folder_is_read_with_its_config(shelf: Shelf, net: Any, tmp_path: Path) -> None:
    plain = read(shelf, folder_of(net, tmp_path / "plain"))
    assert (plain.reads_bgr, plain.pools) == (False, False)
    said = {"controlnet_conditioning_channel_order": "bgr", "global_pool_conditions": True}
    other = read(shelf, folder_of(net, tmp_path / "other", **said))
    assert (other.reads_bgr, other.pools) == (True, True)
    assert other.sha256 != plain.sha256, "the config is a part of it"


def test_a_file_of_shuffled_pictures_is_known_by_its_name(
    shelf: Shelf, net: Any, tmp_path: Path
) -> None:
    path = written.save(written.original(net), tmp_path / "control_v11e_sd15_shuffle.safetensors")
    assert read(shelf, path).pools


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"_class_name": "ControlNetUnionModel"}, "is a ControlNetUnionModel"),
        ({"attention_head_dim": 4}, "attention_head_dim is 4, and the UNet's 8"),
        ({"norm_num_groups": 4}, "norm_num_groups is 4"),
        ({"controlnet_conditioning_channel_order": "gbr"}, "channel_order is gbr"),
    ],
)
def test_a_folder_that_is_another_network_fits_nothing(
    shelf: Shelf, net: Any, tmp_path: Path, said: dict[str, Any], why: str
) -> None:
    entry = shelf.inspect(folder_of(net, tmp_path / "net", **said))
    assert entry.models == ()
    assert why in (entry.reason or "")


def changed(net: Any, **more: torch.Tensor) -> written.Weights:
    return written.diffusers_weights(net) | more


ONE = torch.ones(1)
UNUSABLE = {
    "union": ({"task_embedding": ONE}, "a union ControlNet"),
    "control-lora": ({"lora_controlnet": ONE}, "a Control-LoRA"),
    "lite": ({"lllite_unet_input_blocks_4_1.down.0.weight": ONE}, "LLLite"),
    "transformer's": ({"controlnet_blocks.0.weight": ONE}, "of a transformer"),
    "difference": ({"difference": ONE}, "a difference"),
    "infinite": ({"conv_in.bias": torch.full((32,), torch.inf)}, "conv_in.bias has values"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_other_kinds_are_refused_by_name(shelf: Shelf, net: Any, tmp_path: Path, kind: str) -> None:
    more, why = UNUSABLE[kind]
    path = written.save(changed(net, **more), tmp_path / "net.safetensors")
    with pytest.raises(AdapterUnusable, match=why):
        shelf.inspect(path)


MISFITS = {
    "a key too many": ({"conv_out.weight": ONE}, "conv_out.weight"),
    "another width": ({"conv_in.weight": torch.ones(16, 4, 3, 3)}, "conv_in.weight has shape"),
    "a whole model beside it": (
        {"model.diffusion_model.out.0.weight": ONE}, "model.diffusion_model.out.0.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISFITS)
def test_every_key_is_accounted_for(shelf: Shelf, net: Any, tmp_path: Path, kind: str) -> None:
    more, why = MISFITS[kind]
    path = written.save(changed(net, **more), tmp_path / "net.safetensors")
    entry = shelf.inspect(path)
    assert entry.models == ()
    assert why in (entry.reason or "")


OTHER_INPUTS = {
    "cells of another size": ({"conditioning_embedding_out_channels": (4, 8, 8)}, "4 pixels"),
    "pictures of another kind": ({"conditioning_channels": 4}, "conditioning_channels is 4"),
    "a mask beside x": ({"in_channels": 9}, "in_channels is 9"),
}


@pytest.mark.parametrize("kind", OTHER_INPUTS)
def test_one_that_could_not_be_called_with_this_models_rows_fits_nothing(
    shelf: Shelf, unet: Any, tmp_path: Path, kind: str
) -> None:
    """It would fail in a call that it shares with others."""
    changes, why = OTHER_INPUTS[kind]
    config = written.network(unet, 1).config | changes
    net = ControlNetModel.from_config(config)
    entry = shelf.inspect(written.save(written.diffusers_weights(net), tmp_path / "a.safetensors"))
    assert entry.models == ()
    assert why in (entry.reason or "")


def test_a_key_too_few_is_said(shelf: Shelf, net: Any, tmp_path: Path) -> None:
    weights = written.diffusers_weights(net)
    del weights["mid_block.resnets.0.conv1.weight"]
    entry = shelf.inspect(written.save(weights, tmp_path / "net.safetensors"))
    assert entry.models == ()
    assert "lack 1 tensors" in (entry.reason or "")


def test_it_fits_no_model_of_another_family(shelf: Shelf, tmp_path: Path) -> None:
    other = tiny._unet(tiny.Family.SDXL)
    path = written.save(
        written.diffusers_weights(written.network(other, 1)), tmp_path / "net.safetensors"
    )
    entry = shelf.inspect(path)
    assert entry.models == ()
    assert entry.reason


def test_a_file_that_was_replaced_is_not_the_one_that_was_named(
    shelf: Shelf, net: Any, unet: Any, tmp_path: Path
) -> None:
    path = written.save(written.original(net), tmp_path / "net.safetensors")
    sha256 = shelf.inspect(path).sha256
    written.save(written.original(written.network(unet, 2)), path)
    with pytest.raises(AdapterGone):
        shelf.load("epsilon", {sha256: path})
    assert not shelf.bank.used_bytes


def test_its_memory_counts(loaded: Diffusion, net: Any, tmp_path: Path) -> None:
    path = written.save(written.original(net), tmp_path / "net.safetensors")
    size = sum(weight.nbytes for weight in net.state_dict().values())
    shelf = shelf_of(loaded, size)
    found = read(shelf, path)
    assert found.size_bytes == shelf.bank.used_bytes == size
    with pytest.raises(AdaptersTooLarge):
        read(shelf_of(loaded, size - 1), path)


def test_it_is_read_a_tensor_at_a_time(
    shelf: Shelf, net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file larger than what is read whole of others."""
    monkeypatch.setattr("worker.engine.adapters.file.MAX_FILE_BYTES", 1000)
    path = written.save(written.original(net), tmp_path / "net.safetensors")
    assert read(shelf, path)
