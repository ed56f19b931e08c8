"""Which files are read, how, and what configs may not decide."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentry.errors import ConfigurationError
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.networks import NETWORKS
from worker.engine.models.sources.folder import blueprint_from_folder
from worker.engine.models.sources.part_files import choose_files
from worker.engine.models.weights import stored_in

WHOLE, HALF = "model.safetensors", "model.fp16.safetensors"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
LATE = "model-00001-of-00001.bf16.safetensors"  # as older releases of diffusers wrote it
HALF_SHARDS = [name.replace("model-", "model.fp16-") for name in SHARDS]


@pytest.mark.parametrize(
    ("names", "fp16", "chosen"),
    [
        ([WHOLE, HALF], False, [WHOLE]),
        ([WHOLE, HALF], True, [HALF]),
        ([WHOLE], True, [WHOLE]),
        ([HALF], False, [HALF]),
        ([*SHARDS, "model.safetensors.index.json"], False, SHARDS),
        ([*SHARDS, *HALF_SHARDS], True, HALF_SHARDS),
        ([WHOLE, *SHARDS], False, [WHOLE]),
        ([WHOLE, "model.non_ema.safetensors", "adapter.safetensors"], False, [WHOLE]),
        (["model.bin", "config.json"], False, []),
        (["model.bf16.safetensors"], False, ["model.bf16.safetensors"]),
        (["model.bf16.safetensors"], True, ["model.bf16.safetensors"]),
        (["model.bf16.safetensors", HALF], False, [HALF]),
        (["model.fp32.safetensors", HALF], False, ["model.fp32.safetensors"]),
        (["model.SAFETENSORS"], False, ["model.SAFETENSORS"]),
        (["model.non_ema.safetensors"], False, []),
        ([LATE], True, [LATE]),
    ],
)
def test_one_set_of_weights_is_chosen_in_the_wanted_precision(names, fp16, chosen) -> None:
    assert choose_files(names, "model", prefer_fp16=fp16) == chosen


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["epsilon"], tmp_path / "model"))


def read(blueprint: Blueprint, part: str) -> dict[str, torch.Tensor]:
    return blueprint.parts[part].read().state_dict()


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def test_shards_are_as_good_as_a_whole(folder: Path) -> None:
    expected = read(blueprint_from_folder("whole", folder, prefer_fp16=False), "unet")
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(whole)
    whole.unlink()
    names = sorted(weights)
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = whole.with_name(f"diffusion_pytorch_model-0000{number}-of-00002.safetensors")
        save_file({name: weights[name] for name in part}, file)
    assert equal(read(blueprint_from_folder("shards", folder, prefer_fp16=False), "unet"), expected)
    file.unlink()
    with pytest.raises(ConfigurationError, match="1 of its 2 shards"):
        read(blueprint_from_folder("shards", folder, prefer_fp16=False), "unet")


def test_two_whole_sets_of_shards_without_an_index_are_refused(folder: Path) -> None:
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    for count in (1, 2):
        for number in range(1, count + 1):
            name = f"diffusion_pytorch_model-0000{number}-of-0000{count}.safetensors"
            shutil.copy(whole, whole.with_name(name))
    whole.unlink()
    with pytest.raises(ConfigurationError, match="2 sets of shards and no index"):
        blueprint_from_folder("both", folder, prefer_fp16=False)


def test_a_weight_in_two_shards_is_refused(folder: Path) -> None:
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    for number in (1, 2):
        name = f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"
        shutil.copy(whole, whole.with_name(name))
    whole.unlink()
    with pytest.raises(ConfigurationError, match="in two of its shards"):
        blueprint_from_folder("twice", folder, prefer_fp16=False)


@pytest.mark.parametrize("text", ["[]", '{"weight_map": ["a"]}', '{"weight_map": {"a": 1}}'])
def test_a_damaged_index_of_shards_is_refused(folder: Path, text: str) -> None:
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole.rename(whole.with_name("diffusion_pytorch_model-00001-of-00001.safetensors"))
    whole.with_suffix(".safetensors.index.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"index\.json"):
        blueprint_from_folder("m", folder, prefer_fp16=False)


def test_a_vae_may_have_the_names_of_older_days(folder: Path) -> None:
    """As in the published folder of SD 1.5."""
    expected = read(blueprint_from_folder("new", folder, prefer_fp16=False), "vae")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = load_file(file)
    for new, name in old.items():
        weights = {key.replace(f".{new}.", f".{name}."): t for key, t in weights.items()}
    assert any(".proj_attn." in key for key in weights)
    save_file(weights, file)
    assert equal(read(blueprint_from_folder("old", folder, prefer_fp16=False), "vae"), expected)


def test_weights_of_another_shape_than_the_config_says_are_refused(folder: Path) -> None:
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cross_attention_dim": 64}))
    with pytest.raises(ConfigurationError, match=r"has shape .* its config makes it"):
        read(blueprint_from_folder("other", folder, prefer_fp16=False), "unet")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_bits_arrive_as_they_are_stored(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.randn(6, 4).to(dtype)
    save_file({"odd": torch.zeros(3, dtype=torch.uint8), "x": tensor}, tmp_path / "x.safetensors")
    stored = stored_in(tmp_path / "x.safetensors")[0]["x"]
    assert torch.equal(stored.read(), tensor)
    assert torch.equal(torch.cat([stored.third(k).read() for k in range(3)]), tensor)
    assert torch.equal(stored.reshaped(24).read(), tensor.reshape(24))
    for size_bytes in (1, 3 * 4 * tensor.element_size(), 10_000):
        pieces = [piece.clone() for piece in stored.pieces(size_bytes)]
        assert torch.equal(torch.cat(pieces), tensor)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn],
)
def test_a_transposed_tensor_is_read_transposed(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.randn(5, 3).to(dtype)
    save_file({"x": tensor}, tmp_path / "x.safetensors")
    from_file = stored_in(tmp_path / "x.safetensors")[0]["x"]
    turned = type(from_file)(from_file.file, from_file.info, transposed=True)
    assert turned.shape == (3, 5)
    assert torch.equal(turned.read().double(), tensor.T.double())
    assert turned.read().is_contiguous()
    [piece] = turned.pieces(1)
    assert torch.equal(piece.double(), tensor.T.double())


def test_a_config_cannot_name_code(folder: Path) -> None:
    """transformers would fetch an attention kernel from the hub that is named here, and run it."""
    config = json.loads((folder / "text_encoder" / "config.json").read_text())
    config |= {
        "attn_implementation": "somebody/kernel", "_attn_implementation": "somebody/kernel",
        "auto_map": {"AutoModel": "model.Evil"}, "trust_remote_code": True,
    }  # fmt: skip
    with torch.device("meta"):
        module = NETWORKS["text_encoder"].make(config)
    assert module.config._attn_implementation == "sdpa"
    assert not hasattr(module.config, "auto_map")


def test_a_config_that_makes_no_network_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="config of a UNet2DConditionModel"):
        NETWORKS["unet"].make({"block_out_channels": "many"})
