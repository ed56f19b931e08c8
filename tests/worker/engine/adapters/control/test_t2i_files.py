"""T2I-Adapters' files: architectures and layouts that are read, and what fits which UNet."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from latentry.contracts import AdapterKind
from latentry.errors import AdapterGone
from tests.worker.engine import tiny
from tests.worker.engine.adapters.control import written
from tests.worker.engine.adapters.control.test_files import shelf_of
from tests.worker.engine.conftest import serving
from worker.engine.adapters.control.t2i_adapter.loaded import LoadedT2IAdapter
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.simulated.adapters import SimulatedShelf

SD1 = "sd1-deep"
KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "full, grey": {"in_channels": 1},
    "light": {"adapter_type": "light_adapter", "channels": [32, 64], "num_res_blocks": 4},
}


@pytest.fixture(scope="module")
def unet(three_levels: Mapping[str, Path]) -> Any:
    return UNet2DConditionModel.from_pretrained(three_levels[SD1] / "unet", low_cpu_mem_usage=False)


@pytest.fixture(scope="module")
def backend(three_levels: Mapping[str, Path]) -> Diffusion:
    return serving({SD1: three_levels[SD1]})


@pytest.fixture
def shelf(backend: Diffusion) -> Shelf:
    return shelf_of(backend, 2**30)


def folder_of(net: Any, folder: Path, **said: Any) -> Path:
    net.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | said))
    return folder


def in_layout(net: Any, layout: str, place: Path) -> Path:
    if layout == "folder":
        return folder_of(net, place)
    weights = written.tencents(net) if layout == "TencentARC" else written.diffusers_weights(net)
    return written.save(weights, place.with_suffix(".safetensors"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", ["folder", "diffusers", "TencentARC"])
def test_each_layout_is_the_same_network(
    shelf: Shelf, unet: Any, tmp_path: Path, layout: str, kind: str
) -> None:
    net = written.t2i_adapter(unet, 1, **KINDS[kind])
    path = in_layout(net, layout, tmp_path / "net")
    entry = shelf.inspect(path)
    assert (entry.kind, entry.family, entry.networks, entry.size_step) == (
        AdapterKind.T2I_ADAPTER, "SD 1.x", ("unet",), 8,
    )  # fmt: skip
    assert entry.models == (SD1,)
    found = shelf.load(SD1, {entry.sha256: path})[entry.sha256]
    assert isinstance(found, LoadedT2IAdapter)
    assert found.network.config.adapter_type == net.config.adapter_type
    state, expected = found.network.state_dict(), net.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], weight) for name, weight in expected.items())
    assert found.size_bytes == shelf.bank.used_bytes == sum(w.nbytes for w in expected.values())
    assert SimulatedShelf(["x"]).inspect(path).kind is AdapterKind.T2I_ADAPTER


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "other widths": ({"channels": [32, 32, 64]}, "feature 1 has 32 channels for each 16 pixels"),
    "cells of another size": ({"downscale_factor": 4}, "neither a grey nor an RGB picture of 8"),
    "SDXL's": (
        {"adapter_type": "full_adapter_xl", "downscale_factor": 16},
        "feature 0 has 32 channels for each 16 pixels, and the UNet 32 for each 8",
    ),
    "more features": ({"channels": [32, 64, 64, 64, 64]}, "5 features, and the UNet 4 places"),
    "no such feature": (
        {"adapter_type": "full_adapter_xl", "downscale_factor": 16, "channels": [32, 64, 64, 32]},
        "from the third on they must be one",
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_one_whose_features_have_no_place_fits_nothing(
    shelf: Shelf, tmp_path: Path, kind: str
) -> None:
    """It would fail in a call that it shares with others."""
    changes, why = MISFITS[kind]
    net = T2IAdapter(**({"channels": [32, 64, 64]} | changes))
    path = written.save(written.diffusers_weights(net), tmp_path / "net.safetensors")
    entry = shelf.inspect(path)
    assert entry.models == ()
    assert why in (entry.reason or "")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"_class_name": "MultiAdapter"}, "is a MultiAdapter"),
        ({"adapter_type": "style_adapter"}, "adapter_type is style_adapter"),
        ({"adapter_type": "light_adapter"}, "Its feature 3 has 64 channels for each 64"),
        ({"in_channels": 1}, "in_channels is 1, and by its weights 3"),
    ],
)
def test_a_folder_that_is_another_network_fits_nothing(
    shelf: Shelf, unet: Any, tmp_path: Path, said: dict[str, Any], why: str
) -> None:
    net = written.t2i_adapter(unet, 1)
    entry = shelf.inspect(folder_of(net, tmp_path / "net", **said))
    assert entry.models == ()
    assert why in (entry.reason or "")


def test_every_key_is_accounted_for(shelf: Shelf, unet: Any, tmp_path: Path) -> None:
    weights = written.tencents(written.t2i_adapter(unet, 1))
    more = weights | {"style.weight": torch.ones(1)}
    entry = shelf.inspect(written.save(more, tmp_path / "more.safetensors"))
    assert (entry.models, "style.weight" in (entry.reason or "")) == ((), True)
    del weights["body.5.block2.bias"]
    entry = shelf.inspect(written.save(weights, tmp_path / "less.safetensors"))
    assert (entry.models, "lack 1 tensors" in (entry.reason or "")) == ((), True)


def test_that_of_sdxl_takes_sides_of_16_pixels(every_model: Diffusion, tmp_path: Path) -> None:
    net = written.t2i_adapter(tiny._unet(tiny.Family.SDXL), 1)
    entry = shelf_of(every_model, 2**30).inspect(
        written.save(written.diffusers_weights(net), tmp_path / "net.safetensors")
    )
    assert (entry.family, entry.size_step) == ("SDXL", 16)
    assert set(entry.models) == {"sdxl-epsilon", "sdxl-v", "sdxl-v_zero_snr"}


def test_no_sd_2_takes_one(every_model: Diffusion, tmp_path: Path) -> None:
    """Their UNets have the same sizes, and nobody has published one for them."""
    net = written.t2i_adapter(tiny._unet(tiny.Family.SD1), 1)
    path = written.save(written.diffusers_weights(net), tmp_path / "net.safetensors")
    models = shelf_of(every_model, 2**30).inspect(path).models
    assert {one.split("-")[0] for one in models} == {"sd1"}


def test_a_file_that_was_replaced_is_not_the_one_that_was_named(
    shelf: Shelf, unet: Any, tmp_path: Path
) -> None:
    path = written.save(written.tencents(written.t2i_adapter(unet, 1)), tmp_path / "a.safetensors")
    sha256 = shelf.inspect(path).sha256
    written.save(written.tencents(written.t2i_adapter(unet, 2)), path)
    with pytest.raises(AdapterGone):
        shelf.load(SD1, {sha256: path})
